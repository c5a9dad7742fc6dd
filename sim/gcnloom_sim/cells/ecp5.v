// SPDX-License-Identifier: Apache-2.0
// Lattice ECP5's multiplier and block RAM, which yosys knows by their pins only.
//
// Written from Lattice's FPGA-TN-02205 (sysDSP) and FPGA-TN-02204 (memories); no model of Lattice's
// was used, and no device was compared. Words and initial values lie as yosys' brams_map.v takes
// them to lie.

// 18 by 18 bits, with registers before the operands, behind the product, and between.
//
// Pins and settings of what is not modelled are not there, so that a netlist with them is refused:
// shifts to and from a neighbour, the register of C, bypass, a high-speed clock.
module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0,
    output SIGNEDP
);
    parameter [39:0] REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE";
    parameter [39:0] REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE";
    parameter [31:0] REG_INPUTA_CE = "CE0", REG_INPUTB_CE = "CE0";
    parameter [31:0] REG_PIPELINE_CE = "CE0", REG_OUTPUT_CE = "CE0";
    parameter [31:0] REG_INPUTA_RST = "RST0", REG_INPUTB_RST = "RST0";
    parameter [31:0] REG_PIPELINE_RST = "RST0", REG_OUTPUT_RST = "RST0";
    parameter RESETMODE = "SYNC";

    localparam ASYNC = RESETMODE == "ASYNC";
    wire [3:0] clocks = {CLK3, CLK2, CLK1, CLK0};
    wire [3:0] enables = {CE3, CE2, CE1, CE0};
    wire [3:0] resets = {RST3, RST2, RST1, RST0};
    // The last character of a name like CLK2 is the number of the signal.
    `define CHOSEN(signals, name) signals[name[1:0]]

    wire [17:0] a_pins = SOURCEA ? 18'b0 : {
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire [17:0] b_pins = SOURCEB ? 18'b0 : {
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };

    // An operand is registered together with whether it is signed.
    wire [18:0] a, b;
    wire [36:0] product, halfway;
    GCNLOOM_STAGE #(.WIDTH(19), .ASYNC(ASYNC), .USED(REG_INPUTA_CLK != "NONE")) a_stage (
        `CHOSEN(clocks, REG_INPUTA_CLK), `CHOSEN(enables, REG_INPUTA_CE),
        `CHOSEN(resets, REG_INPUTA_RST), {SIGNEDA, a_pins}, a
    );
    GCNLOOM_STAGE #(.WIDTH(19), .ASYNC(ASYNC), .USED(REG_INPUTB_CLK != "NONE")) b_stage (
        `CHOSEN(clocks, REG_INPUTB_CLK), `CHOSEN(enables, REG_INPUTB_CE),
        `CHOSEN(resets, REG_INPUTB_RST), {SIGNEDB, b_pins}, b
    );
    wire signed [35:0] left = {{18{a[18] & a[17]}}, a[17:0]};
    wire signed [35:0] right = {{18{b[18] & b[17]}}, b[17:0]};
    GCNLOOM_STAGE #(.WIDTH(37), .ASYNC(ASYNC), .USED(REG_PIPELINE_CLK != "NONE")) pipeline_stage (
        `CHOSEN(clocks, REG_PIPELINE_CLK), `CHOSEN(enables, REG_PIPELINE_CE),
        `CHOSEN(resets, REG_PIPELINE_RST),
        {a[18] | b[18], left * right}, halfway
    );
    GCNLOOM_STAGE #(.WIDTH(37), .ASYNC(ASYNC), .USED(REG_OUTPUT_CLK != "NONE")) output_stage (
        `CHOSEN(clocks, REG_OUTPUT_CLK), `CHOSEN(enables, REG_OUTPUT_CE),
        `CHOSEN(resets, REG_OUTPUT_RST), halfway, product
    );
    `undef CHOSEN

    assign {
        SIGNEDP, P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20,
        P19, P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = product;
endmodule

// A register with enable and reset, or a wire.
module GCNLOOM_STAGE #(parameter WIDTH = 1, parameter USED = 0, parameter ASYNC = 0) (
    input clk, input enable, input reset, input [WIDTH-1:0] i, output [WIDTH-1:0] o
);
    generate
        if (!USED) begin
            assign o = i;
        end else if (ASYNC) begin
            reg [WIDTH-1:0] held = 0;
            always @(posedge clk or posedge reset)
                if (reset) held <= 0;
                else if (enable) held <= i;
            assign o = held;
        end else begin
            reg [WIDTH-1:0] held = 0;
            always @(posedge clk)
                if (reset) held <= 0;
                else if (enable) held <= i;
            assign o = held;
        end
    endgenerate
endmodule

// 18 kbit with two ports of 1 to 18 bits, or with port A writing and B reading 36.
//
// With 36 bits the lower half of a word is on the pins of A and the upper on those of B. It is not
// known which port's settings the lower half's output register then follows, so it works here only
// if both ports say the same and both enable it.
module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter integer DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter [47:0] REGMODE_A = "NOREG", REGMODE_B = "NOREG";
    parameter [119:0] WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter [39:0] RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
    parameter [39:0] CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter [31:0] CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter GSR = "ENABLED";
    parameter [319:0] INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0;
    parameter [319:0] INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0;
    parameter [319:0] INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0;
    parameter [319:0] INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0;
    parameter [319:0] INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0;
    parameter [319:0] INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0;
    parameter [319:0] INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0;
    parameter [319:0] INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0;
    parameter [319:0] INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0;
    parameter [319:0] INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0;
    parameter [319:0] INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0;
    parameter [319:0] INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0;
    parameter [319:0] INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0;
    parameter [319:0] INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0;
    parameter [319:0] INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0;
    parameter [319:0] INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;

    localparam WIDE = DATA_WIDTH_B == 36;
    localparam [0:0] A_KEEPS = REGMODE_A == "OUTREG", B_KEEPS = REGMODE_B == "OUTREG";

    wire [13:0] address_a = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire [17:0] data_a = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0
    };
    wire [2:0] select_a = {CSA2, CSA1, CSA0};
    wire [13:0] address_b = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    wire [17:0] data_b = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0
    };
    wire [2:0] select_b = {CSB2, CSB1, CSB0};
    // The decoder's settings are digits after 0b.
    wire [2:0] selected_a = {CSDECODE_A[16], CSDECODE_A[8], CSDECODE_A[0]};
    wire [2:0] selected_b = {CSDECODE_B[16], CSDECODE_B[8], CSDECODE_B[0]};

    // Sixteen words of 18 bits in each initial value, twenty bits apart.
    wire [35:0] word_a, word_b;
    localparam [320*64-1:0] SPACED = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C,
        INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
        INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34,
        INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
        INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C,
        INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
        INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24,
        INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
        INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
        INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
        INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14,
        INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
        INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C,
        INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
        INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04,
        INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
    };
    function [18*1024-1:0] closed(input [320*64-1:0] spaced);
        integer word;
        for (word = 0; word < 1024; word = word + 1)
            closed[18 * word +: 18] = spaced[20 * word +: 18];
    endfunction

    GCNLOOM_BLOCK_RAM #(
        .BYTE(9), .WIDTH_A(DATA_WIDTH_A), .WIDTH_B(DATA_WIDTH_B),
        .WRITING_A(WRITEMODE_A == "NORMAL" ? 0 : WRITEMODE_A == "WRITETHROUGH" ? 1 : 2),
        .WRITING_B(WRITEMODE_B == "NORMAL" ? 0 : WRITEMODE_B == "WRITETHROUGH" ? 1 : 2),
        .REGISTER_A(A_KEEPS), .REGISTER_B(B_KEEPS), .ASYNC(RESETMODE == "ASYNC"),
        .INIT(closed(SPACED))
    ) memory (
        .clk_a(CLKAMUX == "INV" ? ~CLKA : CLKA), .enable_a(CEA && select_a == selected_a),
        .write_a(WEA), .register_a(OCEA), .reset_a(RSTA),
        .address_a(address_a), .given_a({data_b, data_a}), .word_a(word_a),
        .clk_b(CLKBMUX == "INV" ? ~CLKB : CLKB), .enable_b(CEB && select_b == selected_b),
        .write_b(WEB), .register_b(OCEB && (!WIDE || OCEA)), .reset_b(RSTB),
        .address_b(address_b), .given_b({18'b0, data_b}), .word_b(word_b)
    );
    wire [17:0] lower = A_KEEPS == B_KEEPS ? word_b[17:0] : ~word_b[17:0];

    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0
    } = WIDE ? lower : word_a[17:0];
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0
    } = WIDE ? word_b[35:18] : word_b[17:0];
endmodule
