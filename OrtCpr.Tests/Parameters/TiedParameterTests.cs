using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Parameters;

/// <summary>Copies of one parameter that exporters write apart.</summary>
[TestClass]
public sealed class TiedParameterTests
{
    /// <summary>tokens → table → logits by the table's transpose, written a second time; the constant is a third copy,
    /// in another shape, behind a Constant node.</summary>
    private static byte[] Model(bool folded = false)
    {
        OnnxModel model = OnnxModel.Create("tied", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value tokens = graph.AddInput("tokens", ElementType.Int64, new Shape(SymbolicInt.Symbol("batch")));
        Value table = TestModels.Weight(graph, "embed.weight", 6, 4);
        Value copy = graph.AddInitializer("val_9", TensorTwins.Transpose(table.Data!));
        Value logits = g.MatMul(g.Gather(table, tokens), copy);
        if (folded)
        {
            logits = g.Add(logits,
                g.ReduceSum(g.Op("Constant", [], ("value", TensorData.Create(ElementType.Float, [24], table.Data!.Bytes))), false));
        }
        graph.Outputs.Add(g.Named(GraphBuilder.Typed(logits, ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 6)), "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static TrainingPlan Build(bool tie, bool folded = false) => TrainingGraphBuilder.Build(Model(folded), new TrainingOptions
    {
        Loss = new CrossEntropyLoss(),
        Parameters = new ParameterOptions { TieEqual = tie },
        Optimizer = new OptimizerOptions { Groups = [UpdateRule.Sgd(0.5)] },
    });

    private static Batch Tokens() => new Batch().Add("tokens", new long[] { 0, 3, 5 }, 3).Add("labels", new long[] { 1, 2, 5 }, 3);

    [TestMethod]
    public void TiedCopies_AreOneParameter_WithTheSumOfTheirGradients()
    {
        TrainingDriver apart = new(Build(tie: false), new DriverOptions { Threads = 1 });
        TrainingDriver tied = new(Build(tie: true), new DriverOptions { Threads = 1 });
        CollectionAssert.AreEqual(new[] { "embed.weight" }, tied.Plan.Parameters.Trained.Select(p => p.Name).ToArray());
        using Batch batch = Tokens();
        apart.TrainStep(batch);
        tied.TrainStep(batch);
        float[] table = apart.GetGradient("embed.weight").ToArray<float>();
        float[] head = TensorTwins.Transpose(apart.GetGradient("val_9")).ToArray<float>();
        float[] sum = tied.GetGradient("embed.weight").ToArray<float>();
        for (int i = 0; i < sum.Length; i++) Assert.AreEqual(table[i] + head[i], sum[i], 1e-6);
    }

    [TestMethod]
    public void TiedCopies_AreExportedToAllPlaces()
    {
        using TrainingDriver driver = new(Build(tie: true), new DriverOptions { Threads = 1 });
        using Batch batch = Tokens();
        driver.TrainStep(batch);
        driver.OptimizerStep();
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        OnnxGraph exported = GraphReader.Read(ModelFile.Load(stream.ToArray())).Graph;
        TensorData table = exported.Initializers.First(i => i.Name == "embed.weight").Data!;
        TensorData copy = exported.Initializers.First(i => i.Name == "val_9").Data!;
        Assert.AreEqual(TwinKind.Transposed, TensorTwins.Compare(table, copy));
        CollectionAssert.AreEqual(driver.GetParameter("embed.weight").ToArray<float>(), table.ToArray<float>());
    }

    [TestMethod]
    public void CopiesAndFoldedConstants_AreWarnedOf()
    {
        string text = string.Join('\n', Build(tie: false, folded: true).Warnings);
        foreach (string part in new[] { "'embed.weight' and 'val_9'", "transposed", "--tie", "constant", "in another shape", "folded" })
            StringAssert.Contains(text, part);
        Assert.IsFalse(Build(tie: true).Warnings.Any(w => w.Contains("val_9", StringComparison.Ordinal)));
    }
}
