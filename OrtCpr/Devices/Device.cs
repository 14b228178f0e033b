using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Devices;

/// <summary>Where graphs run and their state lives: how sessions are set up for it, how its memory is allocated and
/// filled. Owned by the driver that opened it.</summary>
internal abstract class Device : IDisposable
{
    /// <summary>A tensor that ONNX Runtime may read from any provider: OrtMemoryInfo.DefaultInstance has a memory type
    /// that makes some providers abort the process.</summary>
    public static readonly OrtMemoryInfo Host = new("Cpu", OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);

    protected Device(string name, DeviceCapabilities capabilities)
    {
        Name = name;
        Capabilities = capabilities;
    }

    /// <summary>As the user wrote it.</summary>
    public string Name { get; }

    public DeviceCapabilities Capabilities { get; }

    /// <summary>Whether its memory is the host's.</summary>
    public virtual bool IsHost => false;

    /// <summary>Whether graphs are rewritten by <see cref="Capabilities"/>; on the CPU they run as they are.</summary>
    public virtual bool AdaptsGraphs => !IsHost;

    /// <summary>Whether it runs kernels of ours; elsewhere the standard-operator bodies run.</summary>
    public virtual bool HasKernels => false;

    /// <summary>Adds up floats at an address over all ranks, in place; null for a process alone.</summary>
    public Action<nint, long>? SumOverRanks { get; set; }

    /// <summary>The kernel of an operator of ours; null where it has none.</summary>
    public virtual OperatorKernel? FindKernel(OperatorDefinition definition) => null;

    /// <summary>Adds the provider to a session that is about to be created.</summary>
    public abstract void Configure(SessionOptions options);

    /// <summary>The same for a graph that trains in a precision.</summary>
    public virtual void Configure(SessionOptions options, Precision precision) => Configure(options);

    /// <summary>What the user should know of a precision there; null for nothing.</summary>
    public virtual string? WarningOf(Precision precision) => null;

    /// <summary>A tensor in its memory, contents undefined.</summary>
    public abstract OrtValue Allocate(ElementType type, IReadOnlyList<long> dims);

    /// <summary>What its memory is to ONNX Runtime; null where a tensor's memory has no address that one could add to,
    /// so that no tensor can be part of another.</summary>
    public virtual OrtMemoryInfo? Memory => null;

    /// <summary>Fills a tensor with zeros.</summary>
    public virtual void Clear(OrtValue value)
    {
        if (IsHost) value.GetTensorMutableRawData().Clear();
        else Write(value, new byte[value.GetTensorSizeInBytes()]);
    }

    /// <summary>Copies so far; a step in which nobody reads anything makes none.</summary>
    public long CopyCount { get; private set; }

    /// <summary>Whether what one session runs after another is in order there by itself, so that no run has to wait for
    /// the device at its end; who reads waits.</summary>
    public virtual bool RunsInOrder => false;

    /// <summary>What keeps the host memory of a session's runs until after the session is gone; null where nothing has to.</summary>
    public virtual IDisposable? KeepHostMemory(InferenceSession session) => null;

    /// <summary>The stream on which everything runs there; 0 where there is none.</summary>
    public virtual nint Stream => 0;

    /// <summary>Waits until everything is done that was started there.</summary>
    public virtual void Wait()
    {
    }

    /// <summary>Copies between tensors of one type and shape, at least one of them here. What is copied to the host is there
    /// on return.</summary>
    public void Copy(OrtValue from, OrtValue to)
    {
        CopyCount++;
        CopyNow(from, to);
    }

    /// <summary>The same for a batch, which is new in each step and so not counted.</summary>
    public void Bring(OrtValue from, OrtValue to) => CopyNow(from, to);

    /// <summary>Whether a tensor lies in the host's memory.</summary>
    public static bool IsOnHost(OrtValue value) => value.GetTensorMemoryInfo().GetDeviceType() == OrtMemoryInfoDeviceType.CPU;

    /// <summary>Where a tensor lies; not to be read where the memory is not the host's.</summary>
    public static unsafe nint AddressOf(OrtValue value) =>
        (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(value.GetTensorMutableRawData()));

    protected abstract void CopyNow(OrtValue from, OrtValue to);

    public virtual void Dispose()
    {
    }

    public static OrtValue AllocateOnHost(ElementType type, IReadOnlyList<long> dims) =>
        OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)(int)type, [.. dims]);

    /// <summary>A copy of a tensor in host memory.</summary>
    public TensorData Read(OrtValue value)
    {
        if (IsHost) return ReadOnHost(value);
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        using OrtValue copy = AllocateOnHost((ElementType)(int)info.ElementDataType, info.Shape);
        Copy(value, copy);
        return ReadOnHost(copy);
    }

    /// <summary>A copy of a tensor that is in host memory already.</summary>
    public static TensorData ReadOnHost(OrtValue value)
    {
        Debug.Assert(IsOnHost(value), "reading device memory ends the process");
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        return TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, value.GetTensorMutableRawData().ToArray());
    }

    /// <summary>Overwrites a tensor; type and shape have been checked.</summary>
    public void Write(OrtValue value, ReadOnlySpan<byte> bytes)
    {
        if (IsHost)
        {
            bytes.CopyTo(value.GetTensorMutableRawData());
            return;
        }
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        using OrtValue copy = AllocateOnHost((ElementType)(int)info.ElementDataType, info.Shape);
        bytes.CopyTo(copy.GetTensorMutableRawData());
        Copy(copy, value);
    }
}

/// <summary>The CPU provider: host memory, ONNX Runtime's arena.</summary>
internal sealed class CpuDevice() : Device("cpu", DeviceCapabilities.Cpu)
{
    public override bool IsHost => true;

    public override OrtMemoryInfo Memory => Host;

    public override bool HasKernels => true;

    public override OperatorKernel? FindKernel(OperatorDefinition definition) =>
        definition == Graph.Operators.SumOverRanks.Definition ? new SumOverRanksOperator(SumOverRanks) : KernelCatalog.Find(definition);

    public override void Configure(SessionOptions options)
    {
    }

    public override string? WarningOf(Precision precision) => precision switch
    {
        Precision.TensorFloat32 => "The CPU has no TensorFloat-32: this run computes in float32. Precision.TensorFloat32 is for 'cuda'.",
        Precision.BFloat16 or Precision.Float16 => $"The CPU computes the rounding of {precision} by casts, slower than in float32: good "
            + "for checking numbers. For speed use 'cuda', or Precision.Float32.",
        _ => null,
    };

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) => AllocateOnHost(type, dims);

    protected override void CopyNow(OrtValue from, OrtValue to) => from.GetTensorMutableRawData().CopyTo(to.GetTensorMutableRawData());
}
