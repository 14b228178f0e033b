using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Keeps the global L2 norm of all weights (parameters whose name ends in <c>weight</c>) at what it was after multiplying them
/// once by <see cref="Alpha"/> (Liu et al., Omnigrok, ICLR 2023; the paper's Adam + Rescaling).</summary>
/// <param name="Alpha">Factor on the weights before the first step, above 0. Default 0.8.</param>
public sealed record RescaleWeights(double Alpha = 0.8)
{
    internal static bool AppliesTo(ParameterSpec parameter) => parameter.Name.EndsWith("weight", StringComparison.Ordinal);

    internal IEnumerable<string> Problems() => Alpha > 0 && double.IsFinite(Alpha) ? []
        : [FormattableString.Invariant($"{nameof(Alpha)} is {Alpha}; expected a finite number above 0")];

    // Multiplies the weights by Alpha once; gives their norm then.
    internal (OnnxModel Model, string NormOutput) Initialization(IReadOnlyList<ParameterSpec> weights, ElementType type, int opset)
    {
        OnnxModel start = OnnxModel.Create("optimizer_initialization", opset);
        start.Opsets[OperatorDefinition.Domain] = 1;
        start.Functions.Add(SquaredNorm.Definition.ToFunction(type, opset));
        var g = new GraphBuilder(start.Graph);
        var inputs = weights.Select(w => start.Graph.AddInput(w.Name, w.Type, Shape.Of(w.Dimensions))).ToList();
        var squares = new List<Value>();
        for (int i = 0; i < weights.Count; i++)
        {
            Value scaled = g.Named(g.Mul(inputs[i], Alpha), OptimizerGraphBuilder.UpdatedOf(weights[i].Name));
            start.Graph.Outputs.Add(scaled);
            squares.Add(GraphBuilder.Typed(SquaredNorm.Definition.Call(g, [scaled])[0], type, Shape.Of(1)));
        }
        Value norm = g.Named(g.Reshape(g.Sqrt(g.ReduceSum(g.Concat(0, [.. squares]), true)), 1), "rescaling.norm.updated");
        start.Graph.Outputs.Add(norm);
        GraphChecker.Check(start, "optimizer initialisation");
        return (start, norm.Name);
    }
}
