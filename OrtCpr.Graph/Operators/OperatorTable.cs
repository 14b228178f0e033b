using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>The operators of ours that stand in training and evaluation graphs. Update operators are made of links:
/// <c>UpdateDefinition</c>.</summary>
internal static class OperatorTable
{
    private static readonly Dictionary<string, OperatorDefinition> ByName = new OperatorDefinition[]
    {
        Gelu.Tanh, Gelu.TanhGrad, Gelu.Erf, Gelu.ErfGrad,
        Relu.Grad,
        SoftmaxRows.Forward, SoftmaxRows.Grad,
        CrossEntropy.Rows, CrossEntropy.RowsGrad, CrossEntropy.SmoothRows, CrossEntropy.SmoothRowsGrad,
        Convolution.Forward, Convolution.ForwardBias, Convolution.WeightGrad, Convolution.InputGrad,
        BatchNormalization.Forward, BatchNormalization.Relu, BatchNormalization.AddRelu, BatchNormalization.Grad,
            BatchNormalization.ReluGrad,
        RowNormalization.LayerNormGrad, RowNormalization.RmsNormGrad,
        Embedding.Grad,
        SquaredNorm.Definition, SumOverRanks.Definition,
    }.ToDictionary(d => d.Name, StringComparer.Ordinal);

    /// <summary>All definitions.</summary>
    public static IReadOnlyCollection<OperatorDefinition> All => ByName.Values;

    /// <summary>The definition of a name; null when there is none.</summary>
    public static OperatorDefinition? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The rule of one of ours; null for any other operator.</summary>
    public static GradientRule? GradientOf(Node node) => node.Domain == OperatorDefinition.Domain ? Find(node.OpType)?.Rule : null;

    /// <summary>Defines in the model the functions that its nodes call, in the model's operator set.</summary>
    public static void Attach(OnnxModel model)
    {
        foreach (Node call in model.Graph.NodesAndInner().Where(n => n.Domain == OperatorDefinition.Domain).DistinctBy(n => n.OpType))
        {
            if (Find(call.OpType) is not OperatorDefinition definition) continue;
            if (model.Functions.Any(f => f.Domain == OperatorDefinition.Domain && f.Name == call.OpType)) continue;
            model.Functions.Add(definition.ToFunction(call.Inputs[0]!.Type, model.Opset));
            model.Opsets[OperatorDefinition.Domain] = 1;
        }
    }
}
