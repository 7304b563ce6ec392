; A master boot record: starts the first sector of the active partition, as any MBR does.
; It moves itself to 0000:0600, reads with INT 13h extensions, and hands on DL and DS:SI.

bits 16
org 0x600

table    equ 0x600 + 0x1be
loaded   equ 0x7c00

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, loaded
        sti
        cld
        mov si, loaded
        mov di, 0x600
        mov cx, 256
        rep movsw
        jmp 0:moved

moved:  mov si, table
        mov cx, 4
.find:  test byte [si], 0x80
        jnz .active
        add si, 16
        loop .find
        jmp fail
.active:
        mov eax, [si + 8]
        mov [packet.sector], eax
        push si
        mov si, packet
        mov ah, 0x42
        int 0x13
        pop si
        jc fail
        cmp word [loaded + 510], 0xaa55
        jne fail
        jmp 0:loaded

fail:   mov si, says
.next:  lodsb
        test al, al
        jz .stop
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp .next
.stop:  hlt
        jmp .stop

says    db "No partition to start from", 0

packet: db 16, 0
        dw 1
        dw loaded, 0
.sector dd 0, 0

        times 440 - ($ - $$) db 0
