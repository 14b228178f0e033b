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
        // Of integers, since a floating table would be trained.
        Value table = g.Cast(g.Constant(TensorData.From<long>([1, 2, 3, 4, 5, 6], 2, 3)), ElementType.Float);
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
    [DataRow("Div", false)]
    [DataRow("Div", true)]
    [DataRow("Mod", false)]
    [DataRow("Mod", true)]
    public void AConstantIntegerDividedByZero_IsATypedError(string op, bool isComputed)
    {
        // More elements than the symbolic evaluator looks at.
        string message = Refusal(g =>
        {
            Term zero = isComputed ? g.Ints(2) - g.Ints(2) : g.Ints(0);
            return g.Op("Gather", [g.Op(op, [g.Ints([.. Enumerable.Range(0, 300)]), zero]), g.Int(0)]);
        });
        // Where the zero stands in the file, ONNX Runtime has refused it before; a computed one would end the process.
        StringAssert.Contains(message, isComputed ? "holds 0" : op);
    }
}
