using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Passes;

/// <summary>Constants of a model that cannot be computed.</summary>
[TestClass]
public sealed class FoldConstantsTests
{
    /// <summary>y = x·weight[index], the index computed of constants.</summary>
    private static string Refusal(Func<GraphBuilder, Value> index)
    {
        OnnxModel model = OnnxModel.Create("constants", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        Value table = g.Constant(TensorData.From<float>([1, 2, 3, 4, 5, 6], 2, 3));
        Value scaled = g.Mul(g.Mul(x, TestModels.Weight(model.Graph, "weight", 3)), g.Gather(table, index(g)));
        model.Graph.Outputs.Add(g.Named(scaled, "y"));
        byte[] bytes = GraphWriter.ToBytes(model);
        return Assert.ThrowsExactly<ModelFormatException>(
            () => TrainingGraphBuilder.Build(bytes, new TrainingOptions { Loss = new OutputLoss(Reduction.Sum) })).Message;
    }

    [TestMethod]
    public void ConstantsThatOnnxRuntimeRefuses_AreATypedError()
    {
        string message = Refusal(g => g.Int(7));
        StringAssert.Contains(message, "constants");
        StringAssert.Contains(message, "Correct the constants");
    }

    [TestMethod]
    [DataRow("Div")]
    [DataRow("Mod")]
    public void AConstantIntegerDividedByZero_IsATypedError(string op)
    {
        // Of more elements than the symbolic evaluator looks at.
        string message = Refusal(g => g.Op("Gather", [g.Op(op, [g.Ints([.. Enumerable.Range(0, 300)]), g.Ints(0)]), g.Int(0)]));
        StringAssert.Contains(message, op);
        StringAssert.Contains(message, "holds 0");
    }
}
