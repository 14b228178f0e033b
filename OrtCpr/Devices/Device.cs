using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Graph;

namespace OrtCpr.Devices;

// Where graphs run and their state lives: how sessions are set up for it, how its memory is allocated and filled. Owned by the driver that opened it.
internal abstract class Device : IDisposable
{
    // A tensor that ONNX Runtime may read from any provider: OrtMemoryInfo.DefaultInstance has a memory type that makes some providers abort the process.
    public static readonly OrtMemoryInfo Host = new("Cpu", OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);

    protected Device(string name, DeviceCapabilities capabilities)
    {
        Name = name;
        Capabilities = capabilities;
    }

    // As the user wrote it.
    public string Name { get; }

    public DeviceCapabilities Capabilities { get; }

    // Whether its memory is the host's.
    public virtual bool IsHost => false;

    // Adds the provider to a session that is about to be created.
    public abstract void Configure(SessionOptions options);

    // A tensor in its memory, contents undefined.
    public abstract OrtValue Allocate(ElementType type, IReadOnlyList<long> dims);

    // What its memory is to ONNX Runtime; null where a tensor's memory has no address that one could add to, so that no tensor can be part of another.
    public virtual OrtMemoryInfo? Memory => null;

    // Fills a tensor with zeros.
    public void Clear(OrtValue value)
    {
        if (IsHost) value.GetTensorMutableRawData().Clear();
        else Write(value, new byte[value.GetTensorSizeInBytes()]);
    }

    // Copies so far; a step in which nobody reads anything makes none.
    public long CopyCount { get; private set; }

    // Copies between tensors of one type and shape, at least one of them here. Waits until it is done.
    public void Copy(OrtValue from, OrtValue to)
    {
        CopyCount++;
        CopyNow(from, to);
    }

    protected abstract void CopyNow(OrtValue from, OrtValue to);

    public virtual void Dispose()
    {
    }

    public static OrtValue AllocateOnHost(ElementType type, IReadOnlyList<long> dims) =>
        OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)(int)type, [.. dims]);

    // A copy of a tensor in host memory.
    public TensorData Read(OrtValue value)
    {
        if (IsHost) return ReadOnHost(value);
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        using OrtValue copy = AllocateOnHost((ElementType)(int)info.ElementDataType, info.Shape);
        Copy(value, copy);
        return ReadOnHost(copy);
    }

    // A copy of a tensor that is in host memory already.
    public static TensorData ReadOnHost(OrtValue value)
    {
        Debug.Assert(value.GetTensorMemoryInfo().GetDeviceType() == OrtMemoryInfoDeviceType.CPU, "reading device memory ends the process");
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        return TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, value.GetTensorMutableRawData().ToArray());
    }

    // Overwrites a tensor; type and shape have been checked.
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

// The CPU provider: host memory, ONNX Runtime's arena.
internal sealed class CpuDevice() : Device("cpu", DeviceCapabilities.Cpu)
{
    public override bool IsHost => true;

    public override OrtMemoryInfo Memory => Host;

    public override void Configure(SessionOptions options)
    {
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) => AllocateOnHost(type, dims);

    protected override void CopyNow(OrtValue from, OrtValue to) => from.GetTensorMutableRawData().CopyTo(to.GetTensorMutableRawData());
}
