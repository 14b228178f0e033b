using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Optimizers;

[TestClass]
public sealed class OptimizerOptionsTests
{
    private static string Refusal(OptimizerOptions options) => Assert.ThrowsExactly<OptionException>(options.Validate).Message;

    private static OptimizerOptions Cpr(ConstrainNorm constraint) => new() { Groups = [UpdateRule.AdamCpr(constraint: constraint)] };

    [TestMethod]
    [DataRow(-1.0)]
    [DataRow(double.NaN)]
    [DataRow(double.PositiveInfinity)]
    public void LearningRate_IsChecked(double rate) =>
        StringAssert.Contains(Refusal(new() { Groups = [UpdateRule.Adam(rate)] }), "LearningRate is");

    [TestMethod]
    public void Betas_AndEpsilon_AreChecked_AllAtOnce()
    {
        string message = Refusal(new() { Groups = [UpdateRule.Adam(1e-3, new ScaleByAdam { Beta1 = 1, Beta2 = -0.1, Epsilon = -1 })] });
        foreach (string name in new[] { "Beta1 is 1", "Beta2 is -0.1", "Epsilon is -1" }) StringAssert.Contains(message, name);
    }

    [TestMethod]
    public void NumbersInMessages_DoNotDependOnTheCulture()
    {
        using CommaCulture comma = new();
        string message = Refusal(new()
        {
            Groups = [UpdateRule.Adam(-0.5, new ScaleByAdam { Beta1 = -0.5 })],
            MaxGradientNorm = -0.5,
            MaxGradientValue = -0.5,
            Rescaling = new RescaleWeights(-0.5),
        });
        foreach (string name in new[] { "LearningRate", "Beta1", "MaxGradientNorm", "MaxGradientValue", "Alpha" })
            StringAssert.Contains(message, $"{name} is -0.5;");
        StringAssert.Contains(Refusal(Cpr(new ConstrainNorm { Bound = Bound.Fixed(-0.5) })), "is -0.5;");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Bound.Of("warm_start", 0.5)).Message, "is 0.5;");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(Schedule.Polynomial(10, -0.5).Validate).Message, "is -0.5;");
    }

    [TestMethod]
    [DataRow("uniform", null, "not given")]
    [DataRow("dependent", null, "not given")]
    [DataRow("warm_start", 0.0, "kappa_init_param is 0")]
    [DataRow("warm_start", 2.5, "kappa_init_param is 2.5")]
    [DataRow("warm_start", double.PositiveInfinity, "whole steps")]
    [DataRow("kappa_ws", null, "expected one of uniform, dependent, warm_start, inflection_point")]
    public void ThePackagesArguments_AreChecked(string method, double? param, string expected) =>
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Bound.Of(method, param)).Message, expected);

    [TestMethod]
    public void ThePackagesArguments_GiveTheBoundsTheyMean()
    {
        Assert.AreEqual(Bound.Fixed(0.5, KappaScale.Mean), Bound.Of("uniform", 0.5, scale: KappaScale.Mean));
        Assert.AreEqual(Bound.TimesInitial(0.8), Bound.Of("depended", 0.8));
        Assert.AreEqual(Bound.AfterSteps(7), Bound.Of("WarmStart", 7, every: 3));
        Assert.AreEqual(Bound.AfterSteps(), Bound.Of("warm-start"));
        Assert.AreEqual(Bound.AtInflection(50, 0.5, 900), Bound.Of("inflection_point", null, 50, 0.5, 900));
        CollectionAssert.AreEqual(Bound.Methods.ToArray(), Bound.Methods.Select(m => Bound.Of(m, 1).Method).ToArray());
    }

    [TestMethod]
    public void EveryBound_IsChecked()
    {
        (Bound Bound, string Expected)[] wrong =
        [
            (Bound.Fixed(-1), "kappa is -1"), (Bound.Fixed(double.NaN), "kappa is NaN"), (Bound.TimesInitial(0), "factor is 0"),
            (Bound.AfterSteps(0), "steps is 0"), (Bound.AtInflection(0), "every is 0"),
        ];
        foreach ((Bound bound, string expected) in wrong)
        {
            StringAssert.Contains(Refusal(Cpr(new ConstrainNorm { Bound = bound })), expected);
        }
    }

    [TestMethod]
    public void ConstraintSettings_AreChecked_AllAtOnce()
    {
        string message = Refusal(Cpr(new ConstrainNorm { KappaUpdate = -1, Bound = Bound.AtInflection(0, 1, -1) }));
        foreach (string name in new[] { "KappaUpdate", "every", "decay", "maxWait" }) StringAssert.Contains(message, name);
    }

    [TestMethod]
    public void RunTooShortToSetABound_IsRefused()
    {
        StringAssert.Contains(Refusal(Cpr(new ConstrainNorm { Bound = Bound.AtInflection(200) }) with { TotalSteps = 799 }),
            "four samples, 200 steps apart, but the run has 799");
        StringAssert.Contains(Refusal(Cpr(new ConstrainNorm { Bound = Bound.AfterSteps() }) with { TotalSteps = 1000 }),
            "name a step below that");
        StringAssert.Contains(Refusal(Cpr(new ConstrainNorm { Bound = Bound.AfterSteps(50) }) with { TotalSteps = 50 }),
            "name an earlier step");
        (Cpr(new ConstrainNorm { Bound = Bound.AtInflection(200) }) with { TotalSteps = 800 }).Validate();
        (Cpr(new ConstrainNorm { Bound = Bound.AtInflection(maxWait: 50) }) with { TotalSteps = 100 }).Validate();
        (Cpr(new ConstrainNorm()) with { TotalSteps = 100, WarmupSteps = 100 }).Validate();
    }

    [TestMethod]
    [DataRow(1599L, 0L, true)]
    [DataRow(1600L, 0L, false)]
    [DataRow(1L, 0L, true)]
    [DataRow(700L, 1000L, true)]
    [DataRow(800L, 1000L, false)]
    public void TheDefaultBound_OfAShortRun_IsAWarmStartAtAFifthOfIt(long steps, long warmup, bool isShort)
    {
        OptimizerOptions options = Cpr(new ConstrainNorm()) with { TotalSteps = steps, WarmupSteps = warmup };
        options.Validate();
        ConstrainNorm resolved = options.Resolve().Groups[0].Constraint!;
        Assert.AreEqual(isShort ? Bound.AfterSteps(Math.Max(1, steps / 5)) : Bound.AtInflection(warmup == 0 ? null : warmup / 10),
            resolved.Bound);
        Assert.AreEqual(isShort, string.Join(' ', options.Warnings()).Contains($"The run has {steps} step", StringComparison.Ordinal));
    }

    [TestMethod]
    public void UnknownGroup_MixedTypes_AndDoubleNames_AreRefused_Together()
    {
        ParameterSpec[] parameters =
            [new("a", ElementType.Float, [2], true, 1), new("a", ElementType.Double, [2], true), new("b", ElementType.Int64, [2], true)];
        string message = Assert.ThrowsExactly<OptionException>(() => TrainingPlan.ForOptimizer(parameters, new OptimizerOptions())).Message;
        foreach (string part in new[] { "group 1", "several types", "'a' is given twice", "'b' is Int64" })
        {
            StringAssert.Contains(message, part);
        }
    }

    [TestMethod]
    public void ConstraintBeforeTheBaseRule_IsRefused() =>
        StringAssert.Contains(Refusal(new()
        {
            Groups = [new UpdateRule { Links = [new ConstrainNorm { Bound = Bound.Fixed(1) },
            new ScaleByAdam()] }]
        }), "expected it last");

    [TestMethod]
    public void OptimizerWithNothingToConstrain_SaysSo()
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Parameters = new() { Unconstrain = ["*"] } });
        StringAssert.Contains(string.Join('\n', graphs.Warnings), "no trained parameter is constrained");
    }

    [TestMethod]
    public void StateTakesAtMostSixteenAndAHalfBytesAParameter()
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(TestModels.Grokking, new TrainingOptions { Parameters = new() { RegularizeEmbeddings = true } });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        long bytes = driver.Optimizer.Store.Names.Sum(n => (long)driver.Optimizer.Store.Read(n).Bytes.Length);
        Assert.IsLessThan(16.5, (double)bytes / graphs.Parameters.Trained.Sum(p => p.ElementCount));
    }

    [TestMethod]
    public void ClippedStep_EqualsAStepOnScaledGradients()
    {
        ParameterSpec[] parameters = [new("w", ElementType.Float, [3], false)];
        var start = new Dictionary<string, TensorData> { ["w"] = TensorData.From<float>([1, 2, 3], 3) };
        // Without moments' memory (β = 0) Adam's direction is the sign, so ε must be large for the size of g to show.
        UpdateRule rule = UpdateRule.Adam(1, new ScaleByAdam { Beta1 = 0, Beta2 = 0, Epsilon = 1 });
        float[] Step(double clip, float scale)
        {
            using var driver = new OptimizerDriver(TrainingPlan.ForOptimizer(parameters,
                new OptimizerOptions { Groups = [rule], MaxGradientNorm = clip }), start, new DriverOptions { Threads = 1 });
            driver.Set("w_grad", TensorData.From<float>([3 * scale, 0, 4 * scale], 3));
            driver.Step();
            return driver.Get("w").ToArray<float>();
        }
        float[] clipped = Step(1, 1), scaled = Step(0, (float)(1 / (5 + 1e-6)));
        for (int i = 0; i < 3; i++) Assert.AreEqual(scaled[i], clipped[i], 1e-6f);
    }
}
