using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Devices;

// What goes wrong with providers other than the CPU's, each time without a word, and what keeps it from happening here.
[TestClass]
[DoNotParallelize]
public sealed class DeviceTrapTests
{
    private static TrainingPlan Optimizer(int matrices = 2) => TrainingPlan.ForOptimizer(
        [.. Enumerable.Range(0, matrices).Select(i => new ParameterSpec($"w{i}", ElementType.Float, [3, 2], true))],
        new OptimizerOptions { Groups = [UpdateRule.AdamCpr(constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) })] });

    // A tensor over OrtMemoryInfo.DefaultInstance, of memory type −1, ends the process when a CPU node and a device node read it.
    [TestMethod]
    public void HostTensors_HaveTheDefaultMemoryType()
    {
        Assert.AreEqual(OrtMemType.Default, Device.Host.GetMemoryType());
        using Batch batch = new Batch().Add("x", new float[2], 2);
        Assert.AreEqual(OrtMemType.Default, batch.Tensors["x"].GetTensorMemoryInfo().GetMemoryType());
    }

    // A binding copies a tensor of the other side once, when it is bound: batches are bound anew each step, rates go through a tensor of
    // the device.
    [TestMethod]
    public void ChangedBatchesAndRates_ReachTheDevice()
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Optimizer = new() { Groups = [UpdateRule.Sgd(0)] } });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1, Device = SoftwareAdapter.Device() });
        float[] x = new float[8];
        using Batch batch = new Batch().Add("x", x, 2, 4).Add("labels", [1L, 2], 2);
        double zeros = driver.TrainStep(batch);
        Array.Fill(x, 3);
        driver.LazyResetGrad();
        Assert.AreNotEqual(zeros, driver.TrainStep(batch));
        double[] before = driver.GetParameter("weight").ToDoubles();
        driver.OptimizerStep();
        CollectionAssert.AreEqual(before, driver.GetParameter("weight").ToDoubles(), "rate 0");
        driver.Optimizer.SetLearningRate(0.5);
        driver.OptimizerStep();
        CollectionAssert.AreNotEqual(before, driver.GetParameter("weight").ToDoubles(), "rate 0.5");
        driver.Optimizer.Freeze("*");
        double[] after = driver.GetParameter("weight").ToDoubles();
        driver.OptimizerStep();
        CollectionAssert.AreEqual(after, driver.GetParameter("weight").ToDoubles(), "frozen");
    }

    // A node that reads and writes one buffer breaks WebGPU's rules; some validation modes drop the work without a word.
    [TestMethod]
    public void NoNode_ReadsTheStateThatItWrites()
    {
        TrainingPlan optimizer = Optimizer();
        OnnxModel adapted = AdaptToDevice.Run(optimizer.OptimizerModel, DeviceCapabilities.WebGpu);
        foreach (Value output in adapted.Graph.Outputs.Where(o => o.Name.EndsWith(".updated", StringComparison.Ordinal)))
        {
            string state = output.Name[..^".updated".Length];
            Assert.IsFalse(output.Producer!.Inputs.Any(i => i?.Name == state), $"{output.Producer} writes '{state}', which it reads");
        }
        Assert.HasCount(0, adapted.Functions);
        Assert.IsFalse(adapted.Graph.Nodes.Any(n => DeviceCapabilities.WebGpu.Missing.Contains(n.QualifiedType) && n.OpType
            is not ("Tanh" or "MaxPool")));
    }

    // Graph capture runs the first step twice and ignores later bindings.
    [TestMethod]
    public void GraphCapture_IsRefused() => StringAssert.Contains(Refusal("enableGraphCapture=1"), "runs the first step twice");

    // Options by their long names, and unknown ones, are ignored by the provider.
    [TestMethod]
    [DataRow("ep.webgpuexecutionprovider.validationMode=full", "'ep.webgpuexecutionprovider.validationMode'")]
    [DataRow("validation=full", "'validation'")]
    public void OptionsThatTheProviderWouldIgnore_AreRefused(string option, string named) => StringAssert.Contains(Refusal(option), named);

    [TestMethod]
    public void CudaGraphs_AreRefused() =>
        StringAssert.Contains(Assert.ThrowsExactly<DeviceException>(() =>
            new OptimizerDriver(Optimizer(), Start(), new DriverOptions { Device = "cuda,enable_cuda_graph=1" })).Message, "several times");

    private static string Refusal(string option)
    {
        // Outside of the assertion: where there is no adapter the test is inconclusive.
        var options = new DriverOptions { Device = SoftwareAdapter.Device(option) };
        return Assert.ThrowsExactly<DeviceException>(() => new OptimizerDriver(Optimizer(), Start(), options)).Message;
    }

    // State that a session keeps on the CPU would be copied when it is bound and never again.
    [TestMethod]
    public void NodesWithoutAKernelOnTheDevice_AreListed_InsteadOfRunningOnTheCpu()
    {
        OnnxModel model = OnnxModel.Create("det", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 2));
        Value w = TestModels.Weight(model.Graph, "w", 2, 2);
        model.Graph.Outputs.Add(g.Named(g.ReduceSum(g.Op("Det", [g.Mul(x, w)]), false), "y"));
        string device = SoftwareAdapter.Device();
        var options = new DriverOptions { Threads = 1, Device = device };
        using Device opened = DeviceCatalog.Open(device);
        string message = Assert.ThrowsExactly<DeviceException>(() => new GraphSession(model, "test", options, opened)).Message;
        StringAssert.Contains(message, "Det ");
        StringAssert.Contains(message, nameof(DriverOptions.AllowCpuFallback));
        using var session = new GraphSession(model, "test", options with { AllowCpuFallback = true }, opened);
    }

    [TestMethod]
    public void Float64_IsRefused_OnADeviceWithoutIt()
    {
        TrainingPlan graph = TrainingPlan.ForOptimizer([new("w", ElementType.Double, [2], true)], new OptimizerOptions());
        var options = new DriverOptions { Device = SoftwareAdapter.Device() };
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            new OptimizerDriver(graph, new Dictionary<string, TensorData> { ["w"] = TensorData.From<double>([1, 2], 2) }, options)).Message,
            "no float64");
    }

    [TestMethod]
    [DataRow("gpu", "expected cpu, cuda or cuda:N, webgpu:PATH")]
    [DataRow("webgpu", "expected cpu")]
    [DataRow("webgpu:", "expected cpu")]
    public void UnknownDevice_IsRefused_WithTheForms(string device, string expected) =>
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => new DriverOptions { Device = device }.Validate()).Message,
            expected);

    [TestMethod]
    [DataRow("webgpu:/nowhere", "no provider library at '/nowhere'")]
    [DataRow("cuda", "Microsoft.ML.OnnxRuntime.Gpu")]
    [DataRow("cuda:x", "'x' is no device number")]
    public void MissingDevice_SaysWhatToInstall(string device, string expected) =>
        StringAssert.Contains(Assert.ThrowsExactly<DeviceException>(() =>
            new OptimizerDriver(Optimizer(), Start(), new DriverOptions { Device = device })).Message, expected);

    [TestMethod]
    [DataRow("Unable to find an entry point named 'OrtSessionOptionsAppendExecutionProvider_CUDA'", "Microsoft.ML.OnnxRuntime.Gpu")]
    [DataRow("libcublasLt.so.13: cannot open shared object file: No such file or directory", "Install CUDA 13")]
    [DataRow("CUDA failure 100: no CUDA-capable device is detected", "no NVIDIA GPU")]
    [DataRow("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version", "driver is too old")]
    public void CudaFailures_AreExplained(string message, string expected) => StringAssert.Contains(CudaDevice.Explain(message), expected);

    [TestMethod]
    public void List_NamesEveryDevice_AndWhyTheRestIsNotThere()
    {
        IReadOnlyList<DeviceInfo> devices = DeviceCatalog.List("webgpu:/nowhere");
        Assert.HasCount(3, devices);
        Assert.IsTrue(devices[0] is { Name: "cpu", Available: true });
        Assert.IsFalse(devices[2].Available);
        StringAssert.Contains(devices[2].Description, "/nowhere");
    }

    private static Dictionary<string, TensorData> Start() =>
        new() { ["w0"] = TensorData.From<float>(new float[6], 3, 2), ["w1"] = TensorData.From<float>(new float[6], 3, 2) };
}
