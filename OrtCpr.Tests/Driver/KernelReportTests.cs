using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Sessions;
using OrtCpr.Tests.House;

namespace OrtCpr.Tests.Driver;

/// <summary>What a driver tells about kernels: an operator that falls back to its body costs time without a word.</summary>
[TestClass]
public sealed class KernelReportTests
{
    private const int Rows = 1, Length = 8;

    /// <summary>The GPT2 of 5.4 M parameters, with every link and every operator that its training uses.</summary>
    [TestMethod]
    public void Gpt2_TrainsWithoutABody()
    {
        IReadOnlyList<KernelReport> report = Train(new DriverOptions { Threads = 1 });
        KernelReport[] bodies = [.. report.Where(r => r.BodyReason is not null)];
        Assert.IsEmpty(bodies, string.Join('\n', bodies.Select(b => b.ToString())));
        CollectionAssert.AreEquivalent(new[] { "training", "accumulation", "evaluation", "optimizer" },
            report.Select(r => r.Graph).Distinct().ToArray());
        Assert.IsTrue(report.All(r => r.Calls > 0));
    }

    [TestMethod]
    public void WithoutKernels_EveryOperatorIsABody_AndTheReasonIsGiven()
    {
        IReadOnlyList<KernelReport> report = Train(new DriverOptions { Threads = 1, Kernels = false });
        Assert.IsNotEmpty(report);
        Assert.IsTrue(report.All(r => r.BodyReason == "DriverOptions.Kernels is off"));
        StringAssert.Contains(report[0].ToString(), "in the training graph, ");
        StringAssert.EndsWith(report[0].ToString(), "runs as its body: DriverOptions.Kernels is off");
    }

    /// <summary>A step of two micro-batches and an evaluation, so that every graph has a session.</summary>
    private static IReadOnlyList<KernelReport> Train(DriverOptions options)
    {
        using TrainingDriver driver = TrainingDriver.Create(Path.Combine(Repository.Root, "artifacts", "gpt2_5m.onnx"), new TrainingOptions
        {
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.AdamCpr(1e-4)], MaxGradientNorm = 1, TotalSteps = 10 },
            Parameters = new ParameterOptions { RegularizeEmbeddings = true },
        }, options);
        var batch = new Batch();
        foreach (BatchInput input in driver.Plan.BatchInputs)
        {
            batch.Add(input.Name, [.. Enumerable.Range(0, Rows * Length).Select(i => (long)i)], Rows, Length);
        }
        using (batch)
        {
            driver.TrainStep(batch);
            driver.TrainStep(batch);
            driver.OptimizerStep();
            driver.EvalStep(batch).Dispose();
        }
        return driver.KernelReport;
    }
}
