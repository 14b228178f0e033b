using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>The table of gradient rules: operator → rule, "no gradient by nature", or nothing (an error when it stands
/// in the way).</summary>
/// <remarks>The built-in rows are in <see cref="Default"/>, a file per family beside this one. A table is immutable;
/// <see cref="Register"/> gives a new one, so rules never leak from one trainer to another.</remarks>
public sealed class GradientRules
{
    private static readonly GradientRule Constant = (g, op, dy) => new Value?[op.InputCount];

    /// <summary>Sources, random draws, piecewise constant functions, and what gives integers, booleans or
    /// text.</summary>
    private static readonly string[] Constants =
    [
        "And", "ArgMax", "ArgMin", "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BlackmanWindow", "Ceil",
            "Constant",
        "ConstantOfShape", "Equal", "EyeLike", "Floor", "Greater", "GreaterOrEqual", "HammingWindow", "HannWindow", "Hardmax", "IsInf",
            "IsNaN", "Less",
        "LessOrEqual", "MelWeightMatrix", "Multinomial", "NonMaxSuppression", "NonZero", "Not", "Or", "RandomNormal", "RandomNormalLike",
            "RandomUniform",
        "RandomUniformLike", "Round", "Shape", "Sign", "Size", "Xor",
    ];

    private readonly Dictionary<string, GradientRule> _table;

    private readonly HashSet<string> _own;

    private GradientRules(Dictionary<string, GradientRule> table, HashSet<string> own)
    {
        _table = table;
        _own = own;
    }

    /// <summary>The built-in rules.</summary>
    public static GradientRules Default { get; } = new(BuildTable(), []);

    /// <summary>Operators of the table, as <c>Op</c> or <c>domain.Op</c>, sorted.</summary>
    public IReadOnlyList<string> Operators => [.. _table.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Those that something flows through.</summary>
    internal IEnumerable<string> Differentiable => Operators.Where(o => !ReferenceEquals(_table[o], Constant));

    /// <summary>A table with one more rule, or with a built-in one replaced.</summary>
    /// <param name="domain">Operator domain; empty for ONNX operators.</param>
    /// <param name="opType">Operator name.</param>
    /// <param name="rule">The rule.</param>
    /// <returns>The new table; this one is unchanged.</returns>
    public GradientRules Register(string domain, string opType, GradientRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        ArgumentException.ThrowIfNullOrEmpty(opType);
        string name = Qualified(domain, opType);
        return new(With(name, rule), [.. _own, name]);
    }

    /// <summary>A table with one rule of ours replaced.</summary>
    internal GradientRules Replace(string opType, GradientRule rule) => new(With(opType, rule), _own);

    private Dictionary<string, GradientRule> With(string name, GradientRule rule) => new(_table, StringComparer.Ordinal) { [name] = rule };

    private static string Qualified(string domain, string opType) => string.IsNullOrEmpty(domain) ? opType : $"{domain}.{opType}";

    /// <summary>A table in which Round, Floor and Ceil pass their gradient on unchanged, instead of none:
    /// quantization-aware training of models that round by themselves.</summary>
    /// <remarks>Pairs of QuantizeLinear and DequantizeLinear pass it on in every table, where the value was inside the range.</remarks>
    /// <returns>The new table; this one is unchanged.</returns>
    public GradientRules StraightThrough() =>
        Replace("Round", (g, op, dy) => [dy]).Replace("Floor", (g, op, dy) => [dy]).Replace("Ceil", (g, op, dy) => [dy]);

    internal bool Has(string domain, string opType) => _table.ContainsKey(Qualified(domain, opType));

    /// <summary>True when a user registered the rule: what it returns is checked, and a mistake is theirs.</summary>
    internal bool IsOwn(Node node) => _own.Contains(node.QualifiedType);

    internal GradientRule? Find(Node node) =>
        _table.GetValueOrDefault(node.QualifiedType) ?? OrtCpr.Graph.Operators.OperatorTable.GradientOf(node);

    /// <summary>No gradient by nature: nothing flows through the operator whatever its inputs.</summary>
    internal bool IsConstant(Node node) => ReferenceEquals(Find(node), Constant);

    private static Dictionary<string, GradientRule> BuildTable()
    {
        var table = new Dictionary<string, GradientRule>(StringComparer.Ordinal);
        foreach (IReadOnlyDictionary<string, GradientRule> family in (IReadOnlyDictionary<string, GradientRule>[])
            [
                ActivationRules.Table, ArithmeticRules.Table, ControlFlowRules.Table, ConvolutionRules.Table, EinsumRules.Table,
                FusedRules.Table, GridSampleRules.Table, IndexingRules.Table, LinearAlgebraRules.Table, LossRules.Table, MatrixRules.Table,
                MovementRules.Table, NormalizationRules.Table, PoolingRules.Table, QuantizationRules.Table, QuantizedMatrixRules.Table,
                ReductionRules.Table, RegionRules.Table, ResizeRules.Table, ScatterRules.Table, SoftmaxRules.Table, SpectralRules.Table,
            ])
        {
            foreach ((string op, GradientRule rule) in family) table.Add(op, rule);
        }
        foreach (string op in Constants) table.Add(op, Constant);
        return table;
    }
}
