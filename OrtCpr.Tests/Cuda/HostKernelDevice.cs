using Microsoft.ML.OnnxRuntime;
using OrtCpr.Cuda;
using OrtCpr.CustomOps;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Tests.Cuda;

/// <summary>The CPU provider with the kernels of the GPU, run on the host. Owns the launcher.</summary>
internal sealed class HostKernelDevice : Device
{
    private readonly CudaCatalog _catalog;

    public HostKernelDevice() : base("cpu", DeviceCapabilities.Cpu) => _catalog = new CudaCatalog(Launcher, new HostConvolution());

    public HostLauncher Launcher { get; } = new();

    public override bool IsHost => true;

    public override OrtMemoryInfo Memory => Host;

    public override bool HasKernels => true;

    public override OperatorKernel? FindKernel(OperatorDefinition definition) => _catalog.Find(definition);

    public override void Configure(SessionOptions options)
    {
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) => AllocateOnHost(type, dims);

    protected override void CopyNow(OrtValue from, OrtValue to) => from.GetTensorMutableRawData().CopyTo(to.GetTensorMutableRawData());

    public override void Dispose()
    {
        Launcher.Dispose();
        base.Dispose();
    }
}
