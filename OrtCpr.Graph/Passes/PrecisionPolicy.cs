using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>In which type an operator of a training graph runs.</summary>
internal enum PrecisionClass
{
    /// <summary>In float32, whatever goes in.</summary>
    Float32,

    /// <summary>In the 16-bit type.</summary>
    Low,

    /// <summary>In the widest type of its inputs.</summary>
    Follows,

    /// <summary>Takes and gives the widest type of its inputs, and computes in float32 in between: a formula of several steps, which is
    /// rounded once.</summary>
    FollowsRoundedOnce,
}

/// <summary>The table operator → precision, after the lists of PyTorch's autocast. An operator without a row runs in float32, so that
/// nothing is lowered by accident.</summary>
internal static class PrecisionPolicy
{
    private static readonly (PrecisionClass Class, string[] Operators)[] Rows =
    [
        // Products, which sum in float32 inside and are what tensor cores are for.
        (PrecisionClass.Low,
        [
            "Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul", "com.microsoft.FusedMatMul", "com.microsoft.FusedConv",
            "com.microsoft.FusedGemm", "com.microsoft.TransposeMatMul", "ortcpr.ConvForward", "ortcpr.ConvForwardBias",
            "ortcpr.ConvInputGrad", "ortcpr.ConvWeightGrad",
        ]),
        // What moves elements, exactly.
        (PrecisionClass.Follows,
        [
            "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape", "Slice",
            "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
        ]),
        // What picks one of its operands, or compares them.
        (PrecisionClass.Follows,
        [
            "Abs", "Clip", "Equal", "GlobalMaxPool", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Max", "MaxPool",
            "Min", "Neg", "PRelu", "Relu", "Sign", "Shape", "Size", "ThresholdedRelu",
        ]),
        // One rounding, element by element or over a small window.
        (PrecisionClass.Follows,
        [
            "Add", "AveragePool", "Celu", "Cos", "Div", "Elu", "Gelu", "GlobalAveragePool", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish",
            "Mul", "Selu", "Sigmoid", "Sin", "Sub", "Sum", "Swish", "Tanh", "com.microsoft.BiasGelu", "com.microsoft.FastGelu",
            "com.microsoft.Gelu", "com.microsoft.QuickGelu",
        ]),
        (PrecisionClass.FollowsRoundedOnce,
            ["ortcpr.GeluErf", "ortcpr.GeluErfGrad", "ortcpr.GeluTanh", "ortcpr.GeluTanhGrad", "ortcpr.ReluGrad"]),
        // The sums, exponentials and normalisations of autocast's own list, written out though no row would say the same.
        (PrecisionClass.Float32,
        [
            "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Cosh", "CumProd", "CumSum", "Erf", "Exp",
            "GroupNormalization", "InstanceNormalization", "LayerNormalization", "Log", "LogSoftmax", "LpNormalization",
            "MeanVarianceNormalization", "NegativeLogLikelihoodLoss", "Pow", "RMSNormalization", "Reciprocal", "ReduceL1", "ReduceL2",
            "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
            "ScatterElements", "ScatterND", "SimplifiedLayerNormalization", "Sinh", "Softmax", "SoftmaxCrossEntropyLoss", "Softplus",
            "Sqrt", "Tan", "ortcpr.BatchNorm", "ortcpr.BatchNormAddRelu", "ortcpr.BatchNormGrad", "ortcpr.BatchNormRelu",
            "ortcpr.BatchNormReluGrad", "ortcpr.CrossEntropyRows", "ortcpr.CrossEntropyRowsGrad", "ortcpr.CrossEntropySmoothRows",
            "ortcpr.CrossEntropySmoothRowsGrad", "ortcpr.EmbeddingGrad", "ortcpr.LayerNormGrad", "ortcpr.RmsNormGrad", "ortcpr.Softmax",
            "ortcpr.SoftmaxGrad",
        ]),
    ];

    private static readonly Dictionary<string, PrecisionClass> Table = Rows
        .SelectMany(row => row.Operators.Select(op => (Operator: op, row.Class)))
        .ToDictionary(row => row.Operator, row => row.Class, StringComparer.Ordinal);

    /// <summary>How an operator runs.</summary>
    public static PrecisionClass Of(Node node) => Table.GetValueOrDefault(node.QualifiedType, PrecisionClass.Float32);

    /// <summary>The operators of a class that have a row.</summary>
    public static IEnumerable<string> With(PrecisionClass wanted) => Table.Where(row => row.Value == wanted).Select(row => row.Key);
}
