using Microsoft.ML.OnnxRuntime;
using OrtCpr.Cuda;
using OrtCpr.CustomOps;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Tests.Cuda;

/// <summary>The CPU provider with the kernels of the GPU, run on the host, and graphs as CUDA gets them. Owns the launcher.</summary>
internal sealed class HostKernelDevice : Device
{
    private readonly CudaCatalog _catalog;

    public HostKernelDevice() : base("cpu", DeviceCapabilities.Cuda) => _catalog = new CudaCatalog(Launcher, new HostConvolution());

    public HostLauncher Launcher { get; } = new();

    /// <summary>Whether its memory is full.</summary>
    public bool IsFull { get; init; }

    public override bool IsHost => true;

    public override bool AdaptsGraphs => true;

    public override bool RunsInOrder => true;

    public override OrtMemoryInfo Memory => Host;

    public override bool HasKernels => true;

    public override OperatorKernel? FindKernel(OperatorDefinition definition) => _catalog.Find(definition);

    public override void Configure(SessionOptions options)
    {
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) => IsFull
        ? throw new DeviceException("Device 'test' has no 9 MiB left: 1 of 8 MiB are free.") { IsOutOfMemory = true }
        : AllocateOnHost(type, dims);

    protected override void CopyNow(OrtValue from, OrtValue to) => from.GetTensorMutableRawData().CopyTo(to.GetTensorMutableRawData());

    public override void Dispose()
    {
        Launcher.Dispose();
        base.Dispose();
    }
}
