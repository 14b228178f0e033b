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

    // Copies between tensors of one type and shape, at least one of them here. Waits until it is done.
    public abstract void Copy(OrtValue from, OrtValue to);

    public virtual void Dispose()
    {
    }

    public static OrtValue AllocateOnHost(ElementType type, IReadOnlyList<long> dims) =>
        OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)(int)type, [.. dims]);

    // A copy of a tensor in host memory.
    public TensorData Read(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        var type = (ElementType)(int)info.ElementDataType;
        if (IsHost) return TensorData.Create(type, info.Shape, value.GetTensorMutableRawData().ToArray());
        using OrtValue copy = AllocateOnHost(type, info.Shape);
        Copy(value, copy);
        return TensorData.Create(type, info.Shape, copy.GetTensorMutableRawData().ToArray());
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

    public override void Configure(SessionOptions options)
    {
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) => AllocateOnHost(type, dims);

    public override void Copy(OrtValue from, OrtValue to) => from.GetTensorMutableRawData().CopyTo(to.GetTensorMutableRawData());
}
