; An EFI program in the place of Windows' boot manager, which says that it was started, and stops:
;     bootmgfw reached
; It says so on the console and on the first serial port.
;
; The headers are those of a PE32+ image (Microsoft, "PE Format") with one section; the program is
; where it is put, so there is nothing to relocate. Entered as UEFI has it: the system table in RDX.

bits 64

section_size equ 0x200
serial       equ 0x3f8

        db "MZ"
        times 0x3c - ($ - $$) db 0
        dd headers
        times 0x40 - ($ - $$) db 0

headers:
        db "PE", 0, 0
        dw 0x8664                       ; x86-64
        dw 1                            ; sections
        dd 0, 0, 0
        dw optional_end - optional
        dw 0x0022                       ; executable, knows large addresses
optional:
        dw 0x020b                       ; PE32+
        db 14, 0
        dd section_size, 0, 0
        dd 0x1000                       ; entry point
        dd 0x1000
        dq 0x10000000                   ; preferred base
        dd 0x1000, 0x200                ; alignment in memory and in the file
        dw 0, 0, 0, 0, 0, 0
        dd 0
        dd 0x2000                       ; size of the image
        dd 0x200                        ; size of the headers
        dd 0
        dw 10, 0                        ; an EFI application
        dq 0x10000, 0x1000, 0x10000, 0x1000
        dd 0, 16
        times 16 dq 0
optional_end:
        db ".text", 0, 0, 0
        dd section_size, 0x1000, section_size, 0x200, 0, 0
        dw 0, 0
        dd 0xe0000020                   ; code, to be read, written and executed
        times 0x200 - ($ - $$) db 0

start:  sub rsp, 40
        mov rcx, [rdx + 64]             ; ConOut
        lea rdx, [rel message]
        call [rcx + 8]                  ; OutputString
        lea rsi, [rel message]
.next:  lodsw
        test ax, ax
        jz .stop
        mov bl, al
        mov dx, serial + 5
.busy:  in al, dx
        test al, 0x20
        jz .busy
        mov al, bl
        mov dx, serial
        out dx, al
        jmp .next
.stop:  hlt
        jmp .stop

message dw __utf16__("bootmgfw reached"), 13, 10, 0
        times 0x200 + section_size - ($ - $$) db 0
