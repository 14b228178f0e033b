using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Parameters;

/// <summary>What an operator does with one of its inputs.</summary>
internal enum OperandRole
{
    /// <summary>Nothing that the table knows.</summary>
    None,
    /// <summary>A matrix, taps, recurrent weights.</summary>
    Weight,
    /// <summary>Added along one axis.</summary>
    Bias,
    /// <summary>Multiplied along one axis: gain of a normalisation, slope of PRelu.</summary>
    Gain,
    /// <summary>A table of rows that indices pick.</summary>
    Table,
    /// <summary>A running mean or variance.</summary>
    Statistic,
    /// <summary>Sets the operator up: bounds, scales of quantization, ratios, exponents.</summary>
    Setting,
}

/// <summary>The table operator and input → role. A model in fused form has the same parameters as one in plain form, so
/// every operator that takes a parameter has a row.</summary>
internal static class OperandRoles
{
    private const string Contrib = "com.microsoft.";

    /// <summary>Operators whose inputs of the same names have the same numbers; a number alone is that input, of the
    /// role in front of it.</summary>
    private static readonly (string[] Operators, (OperandRole Role, int[] Inputs)[] Inputs)[] Rows =
    [
        (["MatMul", "Gemm", Contrib + "FusedMatMul", Contrib + "TransposeMatMul", Contrib + "FusedGemm",
            Contrib + "SparseToDenseMatMul"], [(OperandRole.Weight, [0, 1]), (OperandRole.Bias, [2])]),
        (["Einsum"], [(OperandRole.Weight, [0, 1, 2, 3])]),
        (["Conv", "ConvTranspose", Contrib + "FusedConv", Contrib + "NhwcConv", Contrib + "NhwcFusedConv",
            Contrib + "CausalConvWithState"], [(OperandRole.Weight, [1]), (OperandRole.Bias, [2])]),
        (["DeformConv"], [(OperandRole.Weight, [1]), (OperandRole.Bias, [3])]),
        ([Contrib + "ConvTransposeWithDynamicPads"], [(OperandRole.Weight, [1]), (OperandRole.Bias, [3])]),
        (["LSTM", "GRU", "RNN", Contrib + "AttnLSTM"], [(OperandRole.Weight, [1, 2, 7, 8, 9, 10, 13]), (OperandRole.Bias, [3])]),
        (["LayerNormalization", "InstanceNormalization", "GroupNormalization", Contrib + "GroupNorm"],
            [(OperandRole.Gain, [1]), (OperandRole.Bias, [2])]),
        (["BatchNormalization"], [(OperandRole.Gain, [1]), (OperandRole.Bias, [2]), (OperandRole.Statistic, [3, 4])]),
        (["RMSNormalization", "SimplifiedLayerNormalization", Contrib + "SimplifiedLayerNormalization",
            Contrib + "GatedRMSNorm", Contrib + "BranchwiseRMSNorm"], [(OperandRole.Gain, [1])]),
        ([Contrib + "EngramGate"], [(OperandRole.Gain, [3, 4, 5])]),
        ([Contrib + "SkipLayerNormalization"], [(OperandRole.Gain, [2]), (OperandRole.Bias, [3, 4])]),
        ([Contrib + "SkipSimplifiedLayerNormalization"], [(OperandRole.Gain, [2]), (OperandRole.Bias, [3])]),
        ([Contrib + "SkipGroupNorm"], [(OperandRole.Gain, [1]), (OperandRole.Bias, [2, 4])]),
        ([Contrib + "EmbedLayerNormalization"],
            [(OperandRole.Table, [2, 3, 4]), (OperandRole.Gain, [5]), (OperandRole.Bias, [6])]),
        (["Gather", Contrib + "GatherBlockQuantized"], [(OperandRole.Table, [0])]),
        ([Contrib + "WordConvEmbedding"], [(OperandRole.Weight, [1]), (OperandRole.Bias, [2]), (OperandRole.Table, [3])]),
        ([Contrib + "BiasGelu", Contrib + "FastGelu", Contrib + "BiasAdd", Contrib + "BiasSplitGelu", Contrib + "BiasDropout",
            Contrib + "LinearAttentionGate"], [(OperandRole.Bias, [1])]),
        ([Contrib + "Attention", Contrib + "PackedAttention", Contrib + "LongformerAttention"],
            [(OperandRole.Weight, [1]), (OperandRole.Bias, [2])]),
        ([Contrib + "MultiHeadAttention", Contrib + "PackedMultiHeadAttention"], [(OperandRole.Bias, [3])]),
        ([Contrib + "DecoderMaskedMultiHeadAttention"], [(OperandRole.Bias, [10])]),
        ([Contrib + "MoE"], [(OperandRole.Weight, [2, 4, 6]), (OperandRole.Bias, [3, 5, 7])]),
        ([Contrib + "MatMulNBits"], [(OperandRole.Setting, [2, 3]), (OperandRole.Bias, [5])]),
        ([Contrib + "MatMulBnb4"], [(OperandRole.Setting, [2])]),
        ([Contrib + "DynamicQuantizeMatMul"], [(OperandRole.Setting, [2]), (OperandRole.Bias, [4])]),
        ([Contrib + "MatMulIntegerToFloat"], [(OperandRole.Setting, [2, 3]), (OperandRole.Bias, [6])]),
        (["QuantizeLinear", "DequantizeLinear", Contrib + "QuantizeLinear", Contrib + "DequantizeLinear"],
            [(OperandRole.Setting, [1, 2])]),
        (["PRelu"], [(OperandRole.Gain, [1])]),
        (["Resize"], [(OperandRole.Setting, [1, 2, 3])]),
        (["Clip", "Dropout", "RoiAlign", "MaxRoiPool", "OneHot", "Pad"], [(OperandRole.Setting, [1, 2, 3])]),
        (["Pow"], [(OperandRole.Setting, [1])]),
        (["NonMaxSuppression"], [(OperandRole.Setting, [2, 3, 4])]),
        ([Contrib + "CropAndResize", Contrib + "Pad"], [(OperandRole.Setting, [1, 2, 3])]),
        (["Range", "MelWeightMatrix"], [(OperandRole.Setting, [0, 1, 2, 3, 4])]),
    ];

    private static readonly Dictionary<(string Operator, int Input), OperandRole> Table = Rows
        .SelectMany(row => row.Operators.SelectMany(op => row.Inputs.SelectMany(i => i.Inputs.Select(n => (Key: (op, n), i.Role)))))
        .ToDictionary(row => row.Key, row => row.Role);

    /// <summary>Operators of the table, as <c>Op</c> or <c>domain.Op</c>.</summary>
    public static IEnumerable<string> Operators => Table.Keys.Select(k => k.Operator).Distinct();

    public static OperandRole Of(string qualifiedType, int input) => Table.GetValueOrDefault((qualifiedType, input));

    /// <summary>What a node does with a value; the first input that it is, where it is several.</summary>
    public static OperandRole Of(Node node, Value value) => Of(node.QualifiedType, node.Inputs.IndexOf(value));
}
