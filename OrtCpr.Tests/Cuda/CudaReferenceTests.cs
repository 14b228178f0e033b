using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;
using OrtCpr.Tests.ReferenceCases;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.Cuda;

/// <summary>PyTorch's values by the GPU's kernels, run on the host.</summary>
[TestClass]
public sealed class CudaReferenceTests
{
    private static IEnumerable<object[]> Cases => Environment.GetEnvironmentVariable("ORTCPR_CASES") is string all
        ? Directory.EnumerateFiles(all, "*.safetensors", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(f => new object[] { Path.GetFileNameWithoutExtension(f), f })
        : ReferenceCaseTests.Models.Concat(ReferenceCaseTests.OptimizerRuns).Where(c => Usual.Contains((string)c[0]));

    // What goes through every kernel in a minute; ORTCPR_CASES names a folder of all.
    private static readonly HashSet<string> Usual = new(StringComparer.Ordinal)
    {
        "gpt2_dynamo", "vit", "unet", "lenet", "lstm_lm", "adamw_decay_amsgrad", "adamcpr_dependent_huber_maximize_amsgrad",
        "adamcpr_dependent_std_absent", "cpr_guards_std", "cpr_groups_own_settings", "cpr_sgd_nesterov_warm_start_l1", "inflection_l2_ema",
        "inflection_l1_max_wait", "adacpr_uniform_l2", "lenet_adamw_accumulation",
    };

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Case_EqualsPyTorch(string name, string path)
    {
        CaseResult result = CaseRunner.Run(path, new DriverOptions { Threads = 1, OpenDevice = () => new HostKernelDevice() });
        Assert.IsTrue(result.Passed, $"{name}: {result.Message}");
    }

    // A Gelu by Erf is recognised after functions were inlined.
    [TestMethod]
    [DataRow("vit")]
    [DataRow("gpt2_dynamo")]
    public void AdaptedGraph_WithoutKernels_IsOfStandardOperators(string model)
    {
        TrainingPlan plan = TrainingGraphBuilder.Build(TestModels.Case($"models/{model}.onnx"),
            new TrainingOptions { Loss = new CrossEntropyLoss() });
        foreach (Graph.Ir.OnnxModel graph in new[] { plan.Training, plan.Evaluation })
        {
            Graph.Ir.OnnxModel adapted = AdaptToDevice.Run(graph, DeviceCapabilities.Cuda);
            Assert.IsFalse(adapted.Graph.NodesAndInner().Any(n => n.Domain == OperatorDefinition.Domain), graph.Graph.Name);
        }
    }

    // What CUDA is given: calls that have a kernel stay, all else is written in operators that it has.
    [TestMethod]
    [DataRow("gpt2_dynamo", "GeluTanh GeluTanhGrad LayerNormGrad SoftmaxGrad CrossEntropyRows CrossEntropyRowsGrad")]
    [DataRow("lenet", "ReluGrad ConvWeightGrad ConvInputGrad CrossEntropyRows CrossEntropyRowsGrad")]
    public void AdaptedGraph_KeepsCallsWithKernels_AndNoFunctions(string model, string expected)
    {
        string path = TestModels.Case($"models/{model}.onnx");
        TrainingPlan plan = TrainingGraphBuilder.Build(path, new TrainingOptions { Loss = new CrossEntropyLoss() });
        using var device = new HostKernelDevice();
        (_, IReadOnlyList<OperatorKernel> kernels) = KernelUse.Of(plan.Training, OperatorTable.Find, device.FindKernel, null);
        Graph.Ir.OnnxModel adapted = AdaptToDevice.Run(plan.Training, DeviceCapabilities.Cuda, null,
            kernels.Select(k => k.Name).ToHashSet());
        Assert.IsEmpty(adapted.Functions);
        string[] calls = [.. adapted.Graph.Nodes.Where(n => n.Domain == OperatorDefinition.Domain).Select(n => n.OpType).Distinct()];
        CollectionAssert.IsSubsetOf(expected.Split(' '), calls, string.Join(' ', calls));
        Assert.IsTrue(calls.All(c => kernels.Any(k => k.Name == c)), string.Join(' ', calls));
        using var session = new GraphSession(adapted, "training", new DriverOptions { Threads = 1 }, device);
        Assert.IsTrue(session.Kernels.All(k => k.BodyReason is null));
    }
}
