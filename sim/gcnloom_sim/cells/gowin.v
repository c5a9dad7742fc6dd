// SPDX-License-Identifier: Apache-2.0
// Gowin's multipliers and block RAMs, which yosys knows by their pins only.
//
// Written from what Gowin's UG287 (DSP) and UG285 (BSRAM) describe, no model of Gowin's used, and
// no device compared. Settings that are not modelled, such as a multiplier's registers, which this
// flow never asks for, are not there, so that a netlist with them is refused.

`define GCNLOOM_MULTIPLIER(name, bits) \
    module name ( \
        input [bits-1:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET, \
        output [2*bits-1:0] DOUT \
    ); \
        wire [bits-1:0] a = ASEL ? SIA : A, b = BSEL ? SIB : B; \
        wire signed [2*bits-1:0] left = {{bits{ASIGN & a[bits-1]}}, a}; \
        wire signed [2*bits-1:0] right = {{bits{BSIGN & b[bits-1]}}, b}; \
        assign DOUT = left * right; \
    endmodule
`GCNLOOM_MULTIPLIER(MULT9X9, 9)
`GCNLOOM_MULTIPLIER(MULT18X18, 18)

module MULT36X36 (
    input [35:0] A, B, input ASIGN, BSIGN, CE, CLK, RESET, output [71:0] DOUT
);
    wire signed [71:0] left = {{36{ASIGN & A[35]}}, A}, right = {{36{BSIGN & B[35]}}, B};
    assign DOUT = left * right;
endmodule

// Initial values of 32 bytes each, as parameters and as one number.
`define GCNLOOM_INITIAL(bits) \
    parameter [bits-1:0] INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0; \
    parameter [bits-1:0] INIT_RAM_04 = 0, INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0; \
    parameter [bits-1:0] INIT_RAM_08 = 0, INIT_RAM_09 = 0, INIT_RAM_0A = 0, INIT_RAM_0B = 0; \
    parameter [bits-1:0] INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0, INIT_RAM_0F = 0; \
    parameter [bits-1:0] INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0; \
    parameter [bits-1:0] INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0; \
    parameter [bits-1:0] INIT_RAM_18 = 0, INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0; \
    parameter [bits-1:0] INIT_RAM_1C = 0, INIT_RAM_1D = 0, INIT_RAM_1E = 0, INIT_RAM_1F = 0; \
    parameter [bits-1:0] INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0, INIT_RAM_23 = 0; \
    parameter [bits-1:0] INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0; \
    parameter [bits-1:0] INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0; \
    parameter [bits-1:0] INIT_RAM_2C = 0, INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0; \
    parameter [bits-1:0] INIT_RAM_30 = 0, INIT_RAM_31 = 0, INIT_RAM_32 = 0, INIT_RAM_33 = 0; \
    parameter [bits-1:0] INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0, INIT_RAM_37 = 0; \
    parameter [bits-1:0] INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0; \
    parameter [bits-1:0] INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
`define GCNLOOM_INITIALS { \
    INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, \
    INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38, \
    INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, \
    INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30, \
    INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, \
    INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, \
    INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, \
    INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, \
    INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, \
    INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, \
    INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, \
    INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, \
    INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, \
    INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08, \
    INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, \
    INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00 \
}

// Both ports read and write.
`define GCNLOOM_TWO_PORTS(name, byte) \
    module name ( \
        input CLKA, CEA, OCEA, WREA, RESETA, CLKB, CEB, OCEB, WREB, RESETB, \
        input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB, input [2*byte-1:0] DIA, DIB, \
        output [2*byte-1:0] DOA, DOB \
    ); \
        parameter READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0; \
        parameter BIT_WIDTH_0 = 2 * byte, BIT_WIDTH_1 = 2 * byte; \
        parameter [2:0] BLK_SEL_0 = 0, BLK_SEL_1 = 0; \
        parameter [39:0] RESET_MODE = "SYNC"; \
        `GCNLOOM_INITIAL(32 * byte) \
        wire [4*byte-1:0] a, b; \
        GCNLOOM_BLOCK_RAM #( \
            .BYTE(byte), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), \
            .WRITING_A(WRITE_MODE0), .WRITING_B(WRITE_MODE1), .REGISTER_A(READ_MODE0), \
            .REGISTER_B(READ_MODE1), .ASYNC(RESET_MODE == "ASYNC"), .INIT(`GCNLOOM_INITIALS) \
        ) memory ( \
            CLKA, CEA && BLKSELA == BLK_SEL_0, WREA, OCEA, RESETA, ADA, {{2*byte{1'b0}}, DIA}, a, \
            CLKB, CEB && BLKSELB == BLK_SEL_1, WREB, OCEB, RESETB, ADB, {{2*byte{1'b0}}, DIB}, b \
        ); \
        assign DOA = a[2*byte-1:0], DOB = b[2*byte-1:0]; \
    endmodule
`GCNLOOM_TWO_PORTS(DPB, 8)
`GCNLOOM_TWO_PORTS(DPX9B, 9)

// Port A writes whenever it is enabled, port B reads.
`define GCNLOOM_WRITE_AND_READ(name, byte) \
    module name ( \
        input CLKA, CEA, RESETA, CLKB, CEB, OCE, RESETB, input [2:0] BLKSELA, BLKSELB, \
        input [13:0] ADA, ADB, input [4*byte-1:0] DI, output [4*byte-1:0] DO \
    ); \
        parameter READ_MODE = 0, BIT_WIDTH_0 = 4 * byte, BIT_WIDTH_1 = 4 * byte; \
        parameter [2:0] BLK_SEL_0 = 0, BLK_SEL_1 = 0; \
        parameter [39:0] RESET_MODE = "SYNC"; \
        `GCNLOOM_INITIAL(32 * byte) \
        wire [4*byte-1:0] unused; \
        GCNLOOM_BLOCK_RAM #( \
            .BYTE(byte), .WIDTH_A(BIT_WIDTH_0), .WIDTH_B(BIT_WIDTH_1), .REGISTER_B(READ_MODE), \
            .ASYNC(RESET_MODE == "ASYNC"), .INIT(`GCNLOOM_INITIALS) \
        ) memory ( \
            CLKA, CEA && BLKSELA == BLK_SEL_0, 1'b1, 1'b0, RESETA, ADA, DI, unused, \
            CLKB, CEB && BLKSELB == BLK_SEL_1, 1'b0, OCE, RESETB, ADB, {4*byte{1'b0}}, DO \
        ); \
    endmodule
`GCNLOOM_WRITE_AND_READ(SDPB, 8)
`GCNLOOM_WRITE_AND_READ(SDPX9B, 9)

// One port.
`define GCNLOOM_ONE_PORT(name, byte) \
    module name ( \
        input CLK, CE, OCE, RESET, WRE, input [2:0] BLKSEL, input [13:0] AD, \
        input [4*byte-1:0] DI, output [4*byte-1:0] DO \
    ); \
        parameter READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 4 * byte; \
        parameter [2:0] BLK_SEL = 0; \
        parameter [39:0] RESET_MODE = "SYNC"; \
        `GCNLOOM_INITIAL(32 * byte) \
        wire [4*byte-1:0] unused; \
        GCNLOOM_BLOCK_RAM #( \
            .BYTE(byte), .WIDTH_A(BIT_WIDTH), .WIDTH_B(byte), .WRITING_A(WRITE_MODE), \
            .REGISTER_A(READ_MODE), .ASYNC(RESET_MODE == "ASYNC"), .INIT(`GCNLOOM_INITIALS) \
        ) memory ( \
            CLK, CE && BLKSEL == BLK_SEL, WRE, OCE, RESET, AD, DI, DO, \
            1'b0, 1'b0, 1'b0, 1'b0, 1'b0, 14'b0, {4*byte{1'b0}}, unused \
        ); \
    endmodule
`GCNLOOM_ONE_PORT(SP, 8)
`GCNLOOM_ONE_PORT(SPX9, 9)
