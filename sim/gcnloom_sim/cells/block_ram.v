// SPDX-License-Identifier: Apache-2.0
// What block RAMs of Lattice ECP5 and Gowin have in common: 512 words of four bytes, two ports.
//
// A port takes words of 1, 2 or 4 bits or of 1, 2 or 4 bytes, each with registers behind it as an
// option. In wider words the lowest bits of the address enable bytes. What a netlist must not rely
// on is made to hurt: a bit that is read while the other port writes it comes out inverted.
module GCNLOOM_BLOCK_RAM #(
    parameter BYTE = 9,
    parameter WIDTH_A = 18, WIDTH_B = 18,
    // 0: nothing is read while writing; 1: the new word is; 2: the old one.
    parameter WRITING_A = 0, WRITING_B = 0,
    parameter REGISTER_A = 0, REGISTER_B = 0,
    parameter ASYNC = 0,
    parameter [2048*BYTE-1:0] INIT = 0
) (
    input clk_a, enable_a, write_a, register_a, reset_a,
    input [13:0] address_a, input [4*BYTE-1:0] given_a, output [4*BYTE-1:0] word_a,
    input clk_b, enable_b, write_b, register_b, reset_b,
    input [13:0] address_b, input [4*BYTE-1:0] given_b, output [4*BYTE-1:0] word_b
);
    localparam PORT = 4 * BYTE;

    // Lowest bit of what an access reaches.
    function [5:0] base(input integer width, input [13:0] address);
        base = width == PORT ? 0
            : width == 2 * BYTE ? 2 * BYTE * address[4]
            : width == BYTE ? BYTE * address[4:3]
            : BYTE * address[4:3] + (address[2:0] & ~(width - 1));
    endfunction

    function [PORT-1:0] reached(input integer width, input [13:0] address);
        case (width)
            PORT: reached = {
                {BYTE{address[3]}}, {BYTE{address[2]}}, {BYTE{address[1]}}, {BYTE{address[0]}}
            };
            2 * BYTE: reached = {
                {(2 * BYTE){1'b0}}, {BYTE{address[1]}}, {BYTE{address[0]}}
            } << base(width, address);
            default: reached = all(width) << base(width, address);
        endcase
    endfunction

    function [PORT-1:0] all(input integer width);
        all = {PORT{1'b1}} >> (PORT - width);
    endfunction

    reg [PORT-1:0] words [0:511];
    wire [8:0] index_a = address_a[13:5], index_b = address_b[13:5];
    wire [PORT-1:0] writes_a = enable_a && write_a ? reached(WIDTH_A, address_a) : 0;
    wire [PORT-1:0] writes_b = enable_b && write_b ? reached(WIDTH_B, address_b) : 0;
    wire [PORT-1:0] placed_a = given_a << base(WIDTH_A, address_a);
    wire [PORT-1:0] placed_b = given_b << base(WIDTH_B, address_b);
    // Of two clocks that are both high after an edge either may have risen.
    wire same = index_a == index_b;
    wire [PORT-1:0] old_a = words[index_a] ^ (same && clk_b ? writes_b : 0);
    wire [PORT-1:0] old_b = words[index_b] ^ (same && clk_a ? writes_a : 0);
    wire [PORT-1:0] new_a = WRITING_A == 1 ? old_a & ~writes_a | placed_a & writes_a : old_a;
    wire [PORT-1:0] new_b = WRITING_B == 1 ? old_b & ~writes_b | placed_b & writes_b : old_b;
    wire reads_a = enable_a && (!write_a || WRITING_A != 0);
    wire reads_b = enable_b && (!write_b || WRITING_B != 0);

    reg [PORT-1:0] latch_a = 0, latch_b = 0, kept_a = 0, kept_b = 0;
    wire at_once_a = ASYNC && reset_a, at_once_b = ASYNC && reset_b;
    always @(posedge clk_a or posedge at_once_a)
        if (at_once_a || reset_a) latch_a <= 0;
        else if (reads_a) latch_a <= new_a >> base(WIDTH_A, address_a) & all(WIDTH_A);
    always @(posedge clk_b or posedge at_once_b)
        if (at_once_b || reset_b) latch_b <= 0;
        else if (reads_b) latch_b <= new_b >> base(WIDTH_B, address_b) & all(WIDTH_B);
    always @(posedge clk_a or posedge at_once_a)
        if (at_once_a || reset_a) kept_a <= 0;
        else if (register_a) kept_a <= latch_a;
    always @(posedge clk_b or posedge at_once_b)
        if (at_once_b || reset_b) kept_b <= 0;
        else if (register_b) kept_b <= latch_b;
    assign word_a = REGISTER_A ? kept_a : latch_a;
    assign word_b = REGISTER_B ? kept_b : latch_b;

    // Bit by bit, as both ports may write to one word.
    integer bit_a, bit_b, word;
    always @(posedge clk_a)
        for (bit_a = 0; bit_a < PORT; bit_a = bit_a + 1)
            if (writes_a[bit_a]) words[index_a][bit_a] <= placed_a[bit_a];
    always @(posedge clk_b)
        for (bit_b = 0; bit_b < PORT; bit_b = bit_b + 1)
            if (writes_b[bit_b]) words[index_b][bit_b] <= placed_b[bit_b];
    initial
        for (word = 0; word < 512; word = word + 1) words[word] = INIT[word * PORT +: PORT];
endmodule
