using OrtCpr.Cuda;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Tests.Kernels;
using OrtCpr.Tests.Optimizers;

namespace OrtCpr.Tests.Cuda;

/// <summary>The step's kernels for the GPU, against the body.</summary>
[TestClass]
public sealed class CudaUpdateTests
{
    // None, one, less than a block, more than a chunk, and more than two.
    private static readonly int[] Lengths = [0, 1, 2, 31, 33, 1025, CudaChunks.Length + 5, (2 * CudaChunks.Length) + 64];

    private static Dictionary<string, double[]> OnHost(UpdateRule rule, double centre = 0, double spread = 0.5,
        OptimizerOptions? options = null, Action<HostLauncher>? after = null)
    {
        HostKernelDevice? device = null;
        Dictionary<string, double[]> results = BodyAndKernelTests.Run(rule, new DriverOptions
        {
            Threads = 1,
            OpenDevice = () => KernelDevice.IsHost ? device = new HostKernelDevice() : KernelDevice.Open(),
        }, centre, spread, lengths: Lengths, optimizer: options);
        if (device is not null) after?.Invoke(device.Launcher);
        return results;
    }

    private static Dictionary<string, double[]> Body(UpdateRule rule, double centre = 0, double spread = 0.5,
        OptimizerOptions? options = null) =>
        BodyAndKernelTests.Run(rule, new DriverOptions { Threads = 2, Kernels = false }, centre, spread, lengths: Lengths,
            optimizer: options);

    // Every rule by itself, and one rule under every regularizer and bound.
    private static IEnumerable<object[]> Names => UpdateVariant.All
        .Where(v => !v.Base.IsLion && (v.Method is null or BoundKind.Uniform && v.Regularizer is null or Regularizer.L2
            || (v.Base.Name == "AdamW" && !v.AmsGrad)))
        .Select(v => new object[] { v.Name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void KernelEqualsBody(string name)
    {
        UpdateLink[] links = [.. UpdateVariant.Named(name).Links.Select(l => l is ConstrainNorm c ? c with
        {
            Bound = c.Bound.Kind switch
            {
                BoundKind.Uniform => Bound.Fixed(0.05),
                BoundKind.Dependent => Bound.TimesInitial(0.9),
                BoundKind.WarmStart => Bound.AfterSteps(2),
                _ => Bound.AtInflection(every: 1),
            },
        } : l)];
        var rule = new UpdateRule { LearningRate = 1e-2, Links = [.. links] };
        BodyAndKernelTests.Agree(OnHost(rule, after: l => Assert.AreEqual(5, l.Launches["PrepareUpdate"])), Body(rule));
    }

    [TestMethod]
    public void FullMemory_IsToldByWhatNeedsIt()
    {
        var w = new ParameterSpec("w", ElementType.Float, [512, 1024], true);
        DeviceException error = Assert.ThrowsExactly<DeviceException>(() => new OptimizerDriver(
            TrainingPlan.ForOptimizer([w], new OptimizerOptions { Groups = [UpdateRule.AdamCpr(1e-2)] }),
            new Dictionary<string, TensorData> { ["w"] = TensorData.From<float>(new float[512 * 1024], 512, 1024) },
            new DriverOptions { OpenDevice = () => new HostKernelDevice { IsFull = true } }));
        StringAssert.Contains(error.Message, "1 of 8 MiB are free");
        StringAssert.Contains(error.Message, "State 4.0 MiB, Gradient 2.0 MiB, Parameter 2.0 MiB");
    }

    [TestMethod]
    public void Std_IsExactFarFromZero()
    {
        var rule = new UpdateRule
        {
            LearningRate = 1e-2,
            Links = [new ScaleByAdam(), new ConstrainNorm { Regularizer = Regularizer.Std, Bound = Bound.TimesInitial(0.9) }],
        };
        BodyAndKernelTests.Agree(OnHost(rule, 10, 0.17), Body(rule, 10, 0.17));
    }

    [TestMethod]
    public void ClippingAndGuard_TakeTheNormFromKernels()
    {
        UpdateRule rule = UpdateRule.AdamCpr(1e-2);
        var options = new OptimizerOptions { MaxGradientNorm = 0.5 };
        BodyAndKernelTests.Agree(OnHost(rule, options: options, after: l => Assert.AreEqual(5, l.Launches["SumSquares"])),
            Body(rule, options: options));
    }
}
