; A program for Windows that stands for another one: it writes its command line to the file that
; STAND_IN_CALLS names, and ends with the first code of STAND_IN_CODES whose text is in that line.
; Lines of that file are a code, a blank, and a text; 0 where none fits. `nasm -f bin` makes the PE
; file: headers and one section, aligned so that addresses in the file and in memory are the same.

bits 64
default rel
org 0

PAGE equ 0x1000

        db "MZ"
        times 0x3c - ($ - $$) db 0
        dd header

header:
        db "PE", 0, 0
        dw 0x8664, 1                            ; x86-64, one section
        dd 0, 0, 0
        dw section_table - optional, 0x22       ; executable, knows large addresses
optional:
        dw 0x20b, 0                             ; PE32+
        dd PAGE, 0, 0
        dd start, start
        dq 0x140000000
        dd PAGE, PAGE
        dw 6, 0, 0, 0, 6, 0
        dd 0, 2 * PAGE, PAGE, 0
        dw 3, 0x100                             ; a console program, of data that is not run
        dq 0x100000, PAGE, 0x100000, PAGE
        dd 0, 16
        dd 0, 0, imports, imports_end - imports
        times 14 dd 0, 0
section_table:
        db "all", 0, 0, 0, 0, 0
        dd PAGE, PAGE, PAGE, PAGE
        dd 0, 0, 0
        dd 0xe0000060                           ; read, write, execute
        times PAGE - ($ - $$) db 0

start:
        sub rsp, 0x28
        call [GetCommandLineA]
        mov rbx, rax
        lea rcx, [calls]
        lea rdx, [appending]
        call open
        mov rcx, rdi
        lea rdx, [line]
        mov r8, rbx
        call [fprintf]
        mov rcx, rdi
        call [fclose]
        lea rcx, [codes]
        lea rdx, [reading]
        call open
.next:
        mov rcx, rdi
        lea rdx, [rule]
        lea r8, [code]
        lea r9, [text]
        call [fscanf]
        cmp eax, 2
        jne .fine
        mov rcx, rbx
        lea rdx, [text]
        call [strstr]
        test rax, rax
        jz .next
        mov ecx, [code]
        call [exit]
.fine:
        xor ecx, ecx
        call [exit]

; Opens the file that an environment variable (rcx) names, in a mode (rdx), as rdi.
open:
        sub rsp, 0x28
        mov rsi, rdx
        call [getenv]
        mov rcx, rax
        mov rdx, rsi
        call [fopen]
        mov rdi, rax
        add rsp, 0x28
        ret

calls:          db "STAND_IN_CALLS", 0
codes:          db "STAND_IN_CODES", 0
appending:      db "a", 0
reading:        db "r", 0
line:           db "%s", 10, 0
rule:           db "%d %255[^", 10, 13, "]", 0
        align 8
code:           dd 0
text:           times 256 db 0

        align 8
imports:
        dd 0, 0, 0, kernel_name, kernel
        dd 0, 0, 0, runtime_name, runtime
        times 5 dd 0
imports_end:

        align 8
kernel:
GetCommandLineA: dq n_command_line, 0
runtime:
exit:           dq n_exit
fclose:         dq n_fclose
fopen:          dq n_fopen
fprintf:        dq n_fprintf
fscanf:         dq n_fscanf
getenv:         dq n_getenv
strstr:         dq n_strstr, 0

kernel_name:    db "kernel32.dll", 0
runtime_name:   db "msvcrt.dll", 0
n_command_line: db 0, 0, "GetCommandLineA", 0
n_exit:         db 0, 0, "exit", 0
n_fclose:       db 0, 0, "fclose", 0
n_fopen:        db 0, 0, "fopen", 0
n_fprintf:      db 0, 0, "fprintf", 0
n_fscanf:       db 0, 0, "fscanf", 0
n_getenv:       db 0, 0, "getenv", 0
n_strstr:       db 0, 0, "strstr", 0
        times 2 * PAGE - ($ - $$) db 0
