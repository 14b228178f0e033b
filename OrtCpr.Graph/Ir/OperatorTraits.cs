namespace OrtCpr.Graph.Ir;

/// <summary>What is known of an operator apart from its formula.</summary>
[Flags]
internal enum Trait
{
    /// <summary>Nothing in particular.</summary>
    None = 0,

    /// <summary>One tensor, element by element, into one of the same shape.</summary>
    Unary = 1 << 0,

    /// <summary>Several tensors that broadcast against each other, element by element.</summary>
    Broadcast = 1 << 1,

    /// <summary>The first output has the shape of the first input; elements may be mixed.</summary>
    KeepsShape = 1 << 2,

    /// <summary>Sums, means, extrema … over axes.</summary>
    Reduces = 1 << 3,

    /// <summary>The elements of the first input in their order, in another shape at most.</summary>
    View = 1 << 4,

    /// <summary>Its kernel may write the result over an input of the result's shape.</summary>
    InPlace = 1 << 5,

    /// <summary>Draws random numbers: run twice, it gives another result.</summary>
    Random = 1 << 6,

    /// <summary>Draws random numbers in training mode only.</summary>
    RandomInTraining = 1 << 7,

    /// <summary>Gives booleans, whatever goes in.</summary>
    GivesBooleans = 1 << 8,

    /// <summary>Gives INT64, whatever goes in.</summary>
    GivesIntegers = 1 << 9,

    /// <summary>Gives a sequence or an optional.</summary>
    GivesNoTensor = 1 << 10,

    /// <summary>The elements of the first input, in another shape, order or type at most: what holds of a tensor holds of
    /// what such an operator gives.</summary>
    Carries = 1 << 11,

    /// <summary>Gives a mean of 0, a norm of 1 or the like.</summary>
    Normalises = 1 << 12,
}

/// <summary>The table operator → traits. A row is a family; an operator may stand in several rows. Names are those of
/// ONNX and of com.microsoft, which do not contradict each other here.</summary>
internal static class OperatorTraits
{
    private static readonly (Trait Traits, string[] Operators)[] Families =
    [
        (Trait.Unary,
        [
            "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
            "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "QuickGelu",
            "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish",
            "Tan", "Tanh", "ThresholdedRelu",
        ]),
        (Trait.Broadcast,
        [
            "Add", "And", "BiasGelu", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
                "Mul",
            "Or", "Pow", "PRelu", "Sub", "Sum", "Where", "Xor",
        ]),
        (Trait.KeepsShape,
        [
            "BatchNormalization", "CastLike", "Clip", "CumSum", "Dropout", "FastGelu", "GroupNormalization", "Hardmax",
            "InstanceNormalization", "LogSoftmax", "LpNormalization", "LRN", "MeanVarianceNormalization", "ReverseSequence",
            "RMSNormalization", "Scatter", "ScatterElements", "ScatterND", "SimplifiedLayerNormalization", "Softmax", "Trilu",
        ]),
        (Trait.Reduces,
        [
            "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
            "ReduceSumSquare",
        ]),
        (Trait.View, ["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"]),
        (Trait.Carries, ["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"]),
        (Trait.Normalises,
        [
            "BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization",
            "MeanVarianceNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
        ]),
        (Trait.InPlace, ["Add", "Cast", "Div", "Identity", "Max", "Min", "Mul", "Neg", "Sub", "Where"]),
        (Trait.Random, ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]),
        (Trait.RandomInTraining, ["Dropout"]),
        (Trait.GivesBooleans,
        [
            "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "OptionalHasElement", "Or", "Xor",
        ]),
        (Trait.GivesIntegers, ["ArgMax", "ArgMin", "NonZero", "SequenceLength", "Shape", "Size"]),
        (Trait.GivesNoTensor,
        [
            "Optional", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceMap", "SplitToSequence",
        ]),
    ];

    /// <summary>Operators, and attributes of older operators, that came after opset 21, where kernels of some providers
    /// end. All other changes up to the newest opset that is read only add types.</summary>
    private static readonly Dictionary<string, int> Since = new(StringComparer.Ordinal)
    {
        ["Attention"] = 23,
        ["BitCast"] = 26,
        ["Cast.round_mode"] = 24,
        ["CastLike.round_mode"] = 24,
        ["CumProd"] = 26,
        ["DequantizeLinear.output_dtype"] = 23,
        ["QuantizeLinear.precision"] = 23,
        ["RMSNormalization"] = 23,
        ["RotaryEmbedding"] = 23,
        ["Swish"] = 24,
        ["TensorScatter"] = 24,
    };

    private static readonly Dictionary<string, Trait> Table = Families
        .SelectMany(family => family.Operators.Select(op => (Operator: op, family.Traits)))
        .GroupBy(row => row.Operator, StringComparer.Ordinal)
        .ToDictionary(rows => rows.Key, rows => rows.Aggregate(Trait.None, (all, row) => all | row.Traits), StringComparer.Ordinal);

    /// <summary>Operators with a trait.</summary>
    public static IEnumerable<string> With(Trait trait) => Table.Where(row => (row.Value & trait) != 0).Select(row => row.Key);

    /// <summary>True when an operator of this name, of whatever domain, has one of the traits.</summary>
    public static bool Has(string opType, Trait any) => Table.TryGetValue(opType, out Trait traits) && (traits & any) != 0;

    /// <summary>True when an operator of ONNX has one of the traits.</summary>
    public static bool Has(this Node node, Trait any) => node.Domain.Length == 0 && Has(node.OpType, any);

    /// <summary>True where running a node twice may give two results; its bodies are not looked at.</summary>
    public static bool MayDraw(Node node) => Has(node.OpType, Trait.Random | Trait.RandomInTraining);

    /// <summary>True where a node, or one in its bodies, draws random numbers as it is written.</summary>
    public static bool Draws(Node node) => Has(node.OpType, Trait.Random)
        || (node.Has(Trait.RandomInTraining) && node.In(2) is Value training && training.Data?.ToInt64s() is not [0])
        || node.Subgraphs.Any(body => body.Nodes.Any(Draws));

    /// <summary>The opset that an ONNX operator or one of its attributes came with; 0 where that is 21 or an earlier one.</summary>
    public static int SinceOpset(Node node) => node.Domain.Length > 0 ? 0
        : node.Attributes.Select(a => Since.GetValueOrDefault($"{node.OpType}.{a.Key}")).Append(Since.GetValueOrDefault(node.OpType)).Max();

    /// <summary>Operators that came after an opset, by name.</summary>
    public static IEnumerable<string> After(int opset) => Since.Where(s => s.Value > opset && !s.Key.Contains('.')).Select(s => s.Key);
}
