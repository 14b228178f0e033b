using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

/// <summary>Names of a model's weights, inputs and outputs are the user's affair: none of ours is in their way.</summary>
[TestClass]
public sealed class NameTests
{
    private static readonly string[] Taken =
    [
        "step", "learning_rate", "weight_decay", "apply", "gradient_scale", "gradient_present", "grad_norm", "step_applied",
            "skipped_steps", "cpr.lambda", "cpr.kappa",
        "cpr.detector", "loss", "labels", "lazy_reset_grad", "ortcpr.dropout_key", "w_grad", "w.updated", "w.exp_avg", "w.step", "w.lambda",
            "w_grad.accumulation.buffer",
        "parameter", "flat.parameter", "重み", "Gewicht/ä b", "ω",
    ];

    // x · w · second + bias; `second` is a weight or an input of the given name.
    private static byte[] Model(string weight, string input, string bias = "bias", string output = "logits")
    {
        OnnxModel model = OnnxModel.Create("names", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput(input, ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value hidden = g.MatMul(g.MatMul(x, TestModels.Weight(graph, "w", 4, 5)), TestModels.Weight(graph, weight, 5, 3));
        graph.Outputs.Add(g.Named(g.Add(hidden, TestModels.Weight(graph, bias, 3)), output));
        return GraphWriter.ToBytes(model);
    }

    private static void Trains(byte[] model, string what)
    {
        using var folder = new TemporaryFolder();
        var options = new TrainingOptions
        {
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(1e-2,
                constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) })]
            },
        };
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(model, options)),
            other = new(TrainingGraphBuilder.Build(model, options));
        float[] x = [.. Enumerable.Range(0, 32).Select(i => MathF.Sin(i))];
        long[] labels = [.. Enumerable.Range(0, 8).Select(i => (long)(i % 3))];
        using Batch batch = new();
        foreach (BatchInput input in driver.Plan.BatchInputs)
        {
            if (input.IsLabel) batch.Add(input.Name, labels, 8);
            else batch.Add(input.Name, x, 8, 4);
        }
        double first = driver.EvalStep(batch).Loss;
        Steps(driver, batch, 10);
        TrainingCheckpoint.Save(driver, folder["c"]);
        TrainingCheckpoint.Load(other, folder["c"]);
        ArtifactsFolder.Save(driver, folder["job"]);
        using TrainingDriver third = ArtifactsFolder.Load(folder["job"]);
        foreach (TrainingDriver d in new[] { driver, other, third }) Steps(d, batch, 10);
        using Evaluation last = driver.EvalStep(batch);
        Assert.IsLessThan(first, last.Loss, what);
        CollectionAssert.AreEqual(driver.ToBuffer().ToDoubles(), other.ToBuffer().ToDoubles(), what);
        CollectionAssert.AreEqual(driver.ToBuffer().ToDoubles(), third.ToBuffer().ToDoubles(), what);
        Assert.HasCount(2, driver.Optimizer.GetConstraints(), what);
        driver.ExportModel(folder["m.onnx"]);
        using TrainingDriver exported = TrainingDriver.Create(folder["m.onnx"], options);
        using Evaluation again = exported.EvalStep(batch);
        Assert.AreEqual(last.Loss, again.Loss, 1e-6, what);
    }

    private static void Steps(TrainingDriver driver, Batch batch, int count)
    {
        for (int t = 0; t < count; t++)
        {
            driver.LazyResetGrad();
            driver.TrainStep(batch);
            driver.TrainStep(batch);
            driver.OptimizerStep(0.5);
        }
    }

    [TestMethod]
    public void ModelWithAWeightOfOneOfOurNames_Trains()
    {
        foreach (string name in Taken) Trains(Model(name, "x"), $"weight '{name}'");
    }

    [TestMethod]
    public void ModelWithAnInputOfOneOfOurNames_Trains()
    {
        foreach (string name in Taken) Trains(Model("second", name), $"input '{name}'");
    }

    [TestMethod]
    public void ModelWithAnOutputOfOneOfOurNames_Trains()
    {
        foreach (string name in Taken) Trains(Model("second", "x", output: name), $"output '{name}'");
    }

    [TestMethod]
    public void LabelsGetAnotherName_WhereTheModelHasTheirs_AndTheUserIsTold()
    {
        TrainingPlan plan = TrainingGraphBuilder.Build(Model("labels", "x"), new TrainingOptions { Loss = new CrossEntropyLoss() });
        Assert.AreEqual("labels_1", plan.BatchInputs.Single(i => i.IsLabel).Name);
        StringAssert.Contains(string.Join('\n', plan.Warnings), "the batch input 'labels_1'");
    }
}
