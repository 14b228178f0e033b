using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Parameters;
using OrtCpr.Tool;
using OrtCpr.Tool.Gradcheck;

namespace OrtCpr.Tests.Gradcheck;

// `ortcpr gradcheck` tells right gradients from wrong ones.
[TestClass]
public sealed class GradcheckTests
{
    private static string[] Wrong(bool isDouble, GradientRules rules)
    {
        // Smooth (tanh): the wide steps of float32 would cross the kinks of Relu.
        string path = TestModels.Case("models/physics_mlp.onnx");
        var options = new TrainingOptions { Rules = rules, Loss = new MseLoss() };
        using var driver = new TrainingDriver(isDouble ? TrainingGraphBuilder.Build(DoubleModel.Of(path), options)
            : TrainingGraphBuilder.Build(path, options), new DriverOptions { Threads = 1 });
        using Batch batch = new SampleInputs([], [], [], 1).For(driver.Plan.BatchInputs);
        var check = new DifferenceCheck(driver, batch, isDouble, 1);
        return [.. driver.Plan.Parameters.Trained.SelectMany(p => check.Of(p.Name, 2).Where(d => !d.Passed).Select(d => $"{p.Name}: {d}"))];
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void RightGradients_Pass_AndWrongOnesDoNot(bool isDouble)
    {
        string[] wrong = Wrong(isDouble, GradientRules.Default);
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
        // The first gradient is a tenth too large.
        GradientRule gemm = (g, op, dy) =>
        [
            1.1 * g.Gemm(dy, op.In(1), false, op.Node.Int("transB", 0) == 0),
            op.Node.Int("transB", 0) != 0 ? g.Gemm(dy, op.In(0), true) : g.Gemm(op.In(0), dy, true),
            dy,
        ];
        Assert.IsNotEmpty(Wrong(isDouble, GradientRules.Default.Register("", "Gemm", gemm)));
    }

    [TestMethod]
    public void Parameters_AreAsTheyWere_AfterTheCheck()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Case("models/mlp_legacy.onnx")),
            new DriverOptions { Threads = 1 });
        using Batch batch = new SampleInputs([], [], [], 1).For(driver.Plan.BatchInputs);
        foreach (ParameterInfo p in driver.Plan.Parameters.Trained)
        {
            byte[] before = driver.GetParameter(p.Name).Bytes.ToArray();
            _ = new DifferenceCheck(driver, batch, isDouble: false, 1).Of(p.Name, 1).Count();
            CollectionAssert.AreEqual(before, driver.GetParameter(p.Name).Bytes.ToArray(), p.Name);
        }
    }

    [TestMethod]
    public void WordsThatFitNothing_AreRefused()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Case("models/mlp_legacy.onnx")),
            new DriverOptions { Threads = 1 });
        StringAssert.Contains(Assert.ThrowsExactly<ToolException>(() => new SampleInputs(["batch"], [], [], 1)).Message, "batch=4");
        StringAssert.Contains(Assert.ThrowsExactly<ToolException>(() =>
            new SampleInputs([], ["labels=5..1"], [], 1).For(driver.Plan.BatchInputs)).Message, "FIRST..LAST");
        StringAssert.Contains(Assert.ThrowsExactly<ToolException>(() =>
            new SampleInputs([], ["nothing=0..1"], [], 1).For(driver.Plan.BatchInputs)).Message, "'nothing'");
    }
}
