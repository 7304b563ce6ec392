; The boot code of an MBR: starts the one active partition of the disk that it was started from.
;
; Assembled by `nasm -f bin`; the result is converter/data/windows_mbr.bin (the area of 440 bytes),
; and tests/appliance/test_mbr_code.py compares both. After the conventions of the PC BIOS alone:
; it is started at 0000:7C00 with the drive in DL, and starts the boot sector of the partition at
; the same place, with the drive in DL and its own entry at DS:SI. Sectors are read by the drive
; extensions of INT 13h (Enhanced Disk Drive specification, function 42h), where there are none by
; cylinder, head and sector (02h, with the geometry that 08h tells).

LOADED  equ     0x7c00                  ; where the BIOS puts a boot sector
MOVED   equ     0x0600                  ; where this one makes room for the next
TABLE   equ     MOVED + 0x1be
ENTRY   equ     16                      ; an entry: at 0 the flag, at 8 the first sector
FIRST   equ     8
TRIES   equ     5

        bits    16
        cpu     386
        org     MOVED

start:  cli
        xor     ax, ax
        mov     ss, ax
        mov     sp, LOADED
        mov     ds, ax
        mov     es, ax
        sti
        cld
        mov     si, LOADED
        mov     di, MOVED
        mov     cx, 256
        rep movsw
        jmp     0:moved

moved:  mov     [drive], dl
        mov     di, TABLE
        mov     cx, 4
        xor     si, si                  ; the active entry, once it was found
.entry: mov     al, [di]
        test    al, al
        jz      .next
        cmp     al, 0x80
        jne     bad_table
        test    si, si
        jnz     bad_table               ; a second one
        mov     si, di
.next:  add     di, ENTRY
        loop    .entry
        test    si, si
        jz      bad_table
        cmp     dword [si + FIRST], 0   ; would start this sector again
        je      bad_table

        mov     bp, TRIES
read:   mov     ah, 0x41                ; are the extensions there?
        mov     bx, 0x55aa
        mov     dl, [drive]
        push    si
        int     0x13
        pop     si
        jc      .plain
        cmp     bx, 0xaa55
        jne     .plain
        test    cl, 1                   ; the functions 42h to 44h, 47h and 48h
        jz      .plain

        mov     eax, [si + FIRST]
        mov     [packet.sector], eax
        mov     word [packet.count], 1  ; a failed try leaves here what it did
        push    si
        mov     si, packet
        mov     ah, 0x42
        mov     dl, [drive]
        int     0x13
        pop     si
        jnc     loaded
        jmp     .again

.plain: push    si
        push    es
        mov     ah, 0x08
        mov     dl, [drive]
        int     0x13                    ; DH: the last head, CL bits 0 to 5: sectors of a track
        pop     es
        pop     si
        jc      .again
        and     cx, 0x3f
        jz      .again
        movzx   ebx, dh
        inc     bx                      ; heads
        movzx   ecx, cx                 ; sectors of a track
        mov     eax, [si + FIRST]
        xor     edx, edx
        div     ecx
        inc     dx
        mov     cl, dl                  ; the sector, from 1
        xor     edx, edx
        div     ebx                     ; EAX: the cylinder, DL: the head
        cmp     eax, 1023
        ja      bad_read                ; out of reach
        mov     dh, dl
        mov     ch, al
        shl     ah, 6
        or      cl, ah
        mov     dl, [drive]
        mov     bx, LOADED
        mov     ax, 0x0201              ; one sector
        push    si
        int     0x13
        pop     si
        jnc     loaded

.again: dec     bp
        jz      bad_read
        xor     ax, ax                  ; reset the drive
        mov     dl, [drive]
        push    si
        int     0x13
        pop     si
        jmp     read

loaded: cmp     word [LOADED + 510], 0xaa55
        jne     bad_code
        mov     dl, [drive]
        jmp     0:LOADED

bad_table:
        mov     si, no_entry
        jmp     fail
bad_read:
        mov     si, no_read
        jmp     fail
bad_code:
        mov     si, no_code

fail:   lodsb
        test    al, al
        jz      .end
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        jmp     fail
.end:   int     0x18                    ; nothing could be started: let the BIOS try others
.halt:  hlt
        jmp     .halt

no_entry: db    "No single active partition", 13, 10, 0
no_read:  db    "The active partition cannot be read", 13, 10, 0
no_code:  db    "The active partition has no boot code", 13, 10, 0

        align   4, db 0
packet: db      16, 0                   ; its own size
.count  dw      0                       ; sectors
        dw      LOADED, 0               ; to offset and segment
.sector dd      0, 0

        times   440 - ($ - $$) db 0

drive   equ     MOVED + 512             ; behind the sector
