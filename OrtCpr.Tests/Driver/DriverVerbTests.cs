using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

// Freezing, buffers, schedules of scalars.
[TestClass]
public sealed class DriverVerbTests
{
    private static TrainingDriver Create(OptimizerOptions? optimizer = null) =>
        new(TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
        {
            Optimizer = optimizer ?? new() { Groups = [UpdateRule.AdamW(1e-2, 0.1)] },
        }), new DriverOptions { Threads = 1 });

    private static void Step(TrainingDriver driver, int seed = 1)
    {
        using Batch batch = TestModels.Batch(6, seed: seed);
        driver.LazyResetGrad();
        driver.TrainStep(batch);
        driver.OptimizerStep();
    }

    [TestMethod]
    public void FrozenParameters_KeepValueAndState_AndGoOnAfterwards()
    {
        using TrainingDriver driver = Create();
        Step(driver);
        string[] frozen = ["fc1.weight", "fc1.weight.exp_avg", "fc1.weight.exp_avg_sq"];
        double[][] before = [.. frozen.Select(n => driver.Optimizer.Get(n).ToDoubles())];
        double[] other = driver.GetParameter("fc2.weight").ToDoubles();
        Assert.AreEqual(2, driver.Optimizer.Freeze("fc1.*"));
        Assert.AreEqual(0, driver.Optimizer.Freeze("fc1.weight"), "frozen already");
        Step(driver);
        for (int i = 0; i < frozen.Length; i++)
        {
            CollectionAssert.AreEqual(before[i], driver.Optimizer.Get(frozen[i]).ToDoubles(), frozen[i]);
        }
        CollectionAssert.AreNotEqual(other, driver.GetParameter("fc2.weight").ToDoubles());
        Assert.AreEqual(2, driver.Optimizer.Unfreeze(@"regex:fc1\..*"));
        Step(driver);
        CollectionAssert.AreNotEqual(before[0], driver.GetParameter("fc1.weight").ToDoubles());
        long[] steps = driver.Optimizer.Get("step").ToInt64s();
        int index = driver.Plan.Trained.ToList().FindIndex(p => p.Name == "fc1.weight");
        Assert.AreEqual(2, steps[index], "the frozen step does not count");
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.Optimizer.Freeze("nothing*")).Message,
            "'nothing*' fit no trained parameter");
    }

    [TestMethod]
    public void Freezing_SurvivesACheckpoint()
    {
        using var folder = new TemporaryFolder();
        string path = folder["c.safetensors"];
        using TrainingDriver driver = Create(), other = Create();
        driver.Optimizer.Freeze("fc1.bias");
        driver.Optimizer.SetLearningRate(0.25);
        TrainingCheckpoint.Save(driver, path);
        TrainingCheckpoint.Load(other, path);
        CollectionAssert.AreEqual(new[] { "fc1.bias" }, other.Optimizer.Frozen.ToArray());
        Assert.AreEqual(0.25, other.Optimizer.GetLearningRate(), 1e-12);
        double[] before = other.GetParameter("fc1.bias").ToDoubles();
        Step(other);
        CollectionAssert.AreEqual(before, other.GetParameter("fc1.bias").ToDoubles());
    }

    [TestMethod]
    public void Buffer_GoesOutAndBackIn_WholeAndTrainableOnly()
    {
        using TrainingDriver driver = Create(), other = Create();
        Step(driver);
        TensorData all = driver.ToBuffer();
        Assert.AreEqual(24 + 6 + 6 + 6 + 18 + 3 + 12, all.ElementCount);
        other.FromBuffer(all);
        CollectionAssert.AreEqual(driver.ToBuffer().ToDoubles(), other.ToBuffer().ToDoubles());
        driver.Optimizer.Freeze("fc1.weight");
        TensorData some = driver.ToBuffer(onlyTrainable: true);
        Assert.AreEqual(6 + 6 + 6 + 18 + 3, some.ElementCount);
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.FromBuffer(some)).Message, "expected Float[75]");
    }

    [TestMethod]
    public void WeightDecay_CanBeScheduled()
    {
        using TrainingDriver driver = Create();
        driver.Optimizer.SetSchedule(Schedule.Step(1, 0.5), scalar: "weight_decay");
        Assert.AreEqual(0.1, driver.Optimizer.GetScalar("weight_decay"), 1e-12);
        Step(driver);
        Step(driver);
        Assert.AreEqual(0.025, driver.Optimizer.GetScalar("weight_decay"), 1e-12);
        Assert.AreEqual(1e-2, driver.Optimizer.GetLearningRate(), 1e-12);
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.Optimizer.SetSchedule(null, scalar: "momentum")).Message,
            "it has: learning_rate, weight_decay");
        Assert.ThrowsExactly<OptionException>(() => driver.SetSchedule(Schedule.Step(0)));
        Assert.ThrowsExactly<DriverException>(() => driver.SetSchedule(Schedule.Step(1), 3));
    }

    // Checkpoints written by a driver whose scheduler was advanced by hand hold a count of its own.
    [TestMethod]
    public void ScheduleAheadOfTheSteps_SurvivesACheckpoint_AndGoesOn()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create(), other = Create();
        driver.SetSchedule(Schedule.Linear(6, 2));
        driver.Optimizer.SetLearningRate(0.8);
        driver.Optimizer.Scalars.StepsAhead = 3;
        TrainingCheckpoint.Save(driver, folder["c.safetensors"]);
        TrainingCheckpoint.Load(other, folder["c.safetensors"]);
        Assert.AreEqual(0.6, other.Optimizer.GetLearningRate(), 1e-12);
        Step(other);
        Assert.AreEqual(0.4, other.Optimizer.GetLearningRate(), 1e-12);
        other.SetSchedule(Schedule.Linear(6, 2));
        Assert.AreEqual(0.4, other.Optimizer.GetLearningRate(), 1e-12, "a new schedule follows the optimizer's own count");
    }

    [TestMethod]
    public void Plateau_HearsTheMetric()
    {
        using TrainingDriver driver = Create();
        driver.SetSchedule(Schedule.Plateau(0.1, 0));
        driver.Optimizer.ReportMetric(1);
        Assert.AreEqual(1e-2, driver.Optimizer.GetLearningRate(), 1e-12);
        driver.Optimizer.ReportMetric(1);
        Assert.AreEqual(1e-3, driver.Optimizer.GetLearningRate(), 1e-12);
    }

    [TestMethod]
    public void Constraint_AtThePreviousParameter_FollowsTheFormula()
    {
        // Plain SGD, one element, R = θ²: λ = μ(θ₀² − κ), θ₁ = θ₀ − lr·g − λ·2θ₀.
        var constraint = new ConstrainNorm { Bound = Bound.Fixed(1), EvaluateAt = EvaluateAt.Previous };
        ParameterSpec[] parameters = [new("w", ElementType.Double, [1], true)];
        OptimizerOptions options = new() { Groups = [UpdateRule.Sgd(0.5, constraint: constraint)] };
        using var driver = new OptimizerDriver(TrainingPlan.ForOptimizer(parameters, options),
            new Dictionary<string, TensorData> { ["w"] = TensorData.From<double>([2], 1) });
        driver.Set("w_grad", TensorData.From<double>([1], 1));
        driver.Step();
        Assert.AreEqual(3, driver.GetConstraints()[0].Lambda, 1e-12);
        Assert.AreEqual(2 - 0.5 - (3 * 4), driver.Get("w").ToDoubles()[0], 1e-12);
        Assert.IsTrue(driver.GetConstraints()[0].EverActive);
    }

    [TestMethod]
    [DataRow(Regularizer.L2, 1.5 * 4)]
    [DataRow(Regularizer.Std, 1.5)]
    public void KappaPerElement_IsMultipliedByTheSize_ExceptForTheDeviation(Regularizer regularizer, double expected)
    {
        var constraint = new ConstrainNorm { Regularizer = regularizer, Bound = Bound.Fixed(1.5, KappaScale.Mean) };
        ParameterSpec[] parameters = [new("w", ElementType.Float, [4], true)];
        using var driver = new OptimizerDriver(TrainingPlan.ForOptimizer(parameters,
            new OptimizerOptions { Groups = [UpdateRule.AdamCpr(constraint: constraint)] }),
            new Dictionary<string, TensorData> { ["w"] = TensorData.From<float>([1, 2, 3, 4], 4) });
        Assert.AreEqual(expected, driver.GetConstraints()[0].Kappa, 1e-6);
    }

    [TestMethod]
    public void GradientValues_AreClipped()
    {
        ParameterSpec[] parameters = [new("w", ElementType.Float, [3], false)];
        OptimizerOptions options = new() { Groups = [UpdateRule.Sgd(1)], MaxGradientValue = 0.5 };
        using var driver = new OptimizerDriver(TrainingPlan.ForOptimizer(parameters, options),
            new Dictionary<string, TensorData> { ["w"] = TensorData.From<float>([0, 0, 0], 3) });
        driver.Set("w_grad", TensorData.From<float>([3, -2, 0.25f], 3));
        driver.Step();
        CollectionAssert.AreEqual(new[] { -0.5f, 0.5f, -0.25f }, driver.Get("w").ToArray<float>());
    }
}
