; A boot sector for an NTFS volume, which says that it was started, and stops:
;     VBR hidden=00000800 drive=80
; `hidden` is the field of its own BPB from which Windows' code finds its volume, `drive` the number
; that the BIOS calls the disk by. It says so on the screen and on the first serial port.
;
; Started as the BIOS convention has it: at 0000:7C00, real mode, the drive in DL.

bits 16
org 0x7c00

hidden_sectors equ 0x7c1c
serial         equ 0x3f8

        jmp short start
        nop
        times 0x54 - ($ - $$) db 0      ; the volume's own name and BPB

start:  cli
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov [drive], dl
        mov si, says_hidden
        call text
        mov eax, [hidden_sectors]
        mov cx, 8
        call hexadecimal
        mov si, says_drive
        call text
        mov eax, [drive - 3]            ; as the first of four bytes
        mov cx, 2
        call hexadecimal
        mov si, line_end
        call text
stop:   hlt
        jmp stop

; The text at SI, up to a NUL.
text:   lodsb
        test al, al
        jz .end
        call character
        jmp text
.end:   ret

; The first CX digits of EAX.
hexadecimal:
        rol eax, 4
        push eax
        and al, 0x0f
        cmp al, 10
        jb .digit
        add al, 'a' - '0' - 10
.digit: add al, '0'
        call character
        pop eax
        loop hexadecimal
        ret

; AL on the screen and on the serial port.
character:
        pusha
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        popa
        pusha
        mov bl, al
        mov dx, serial + 5
.busy:  in al, dx
        test al, 0x20
        jz .busy
        mov al, bl
        mov dx, serial
        out dx, al
        popa
        ret

says_hidden db "VBR hidden=", 0
says_drive  db " drive=", 0
line_end    db 13, 10, 0
drive       db 0

        times 510 - ($ - $$) db 0
        dw 0xaa55

; What Windows' code looks for in the root directory, and others know Windows' code by.
        dw 7, __utf16__("BOOTMGR")
        dw 4, __utf16__("$I30")
        times 1024 - ($ - $$) db 0
