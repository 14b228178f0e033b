using System.Globalization;
using System.Runtime.InteropServices;

namespace OrtCpr.Devices;

/// <summary>
/// One stream of a GPU for all sessions of a driver: what they run is then in order by itself, and no session has to wait for the GPU at
/// the end of a run. Made in the primary context, which is the one that ONNX Runtime uses.
/// </summary>
/// <remarks>Blocking against the default stream, on which ONNX Runtime copies inputs when they are bound.</remarks>
internal sealed partial class CudaStream : IDisposable
{
    // The driver's library: libcuda.so.1 on Linux, nvcuda.dll on Windows.
    private const string Library = "cuda-driver";
    private const uint Blocking = 0;

    private readonly int _device;
    private nint _stream;

    static CudaStream() => NativeLibrary.SetDllImportResolver(typeof(CudaStream).Assembly, static (name, _, _) =>
        name == Library ? NativeLibrary.Load(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1") : 0);

    private CudaStream(int device, nint stream) => (_device, _stream) = (device, stream);

    /// <summary>The address as provider options take it.</summary>
    public string Address => _stream.ToString(CultureInfo.InvariantCulture);

    /// <summary>Makes a stream; null where the driver is not there or refuses, which ONNX Runtime then explains.</summary>
    /// <param name="id">Number of the GPU.</param>
    public static CudaStream? TryCreate(int id)
    {
        try
        {
            if (cuInit(0) != 0 || cuDeviceGet(out int device, id) != 0 || cuDevicePrimaryCtxRetain(out nint context, device) != 0) return null;
            if (cuCtxPushCurrent_v2(context) != 0) return null;
            int result = cuStreamCreate(out nint stream, Blocking);
            _ = cuCtxPopCurrent_v2(out _);
            return result == 0 ? new CudaStream(device, stream) : null;
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stream == 0) return;
        _ = cuStreamSynchronize(_stream);
        _ = cuStreamDestroy_v2(_stream);
        _stream = 0;
        _ = cuDevicePrimaryCtxRelease_v2(_device);
    }

    [LibraryImport(Library)]
    private static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    private static partial int cuDeviceGet(out int device, int ordinal);

    [LibraryImport(Library)]
    private static partial int cuDevicePrimaryCtxRetain(out nint context, int device);

    [LibraryImport(Library)]
    private static partial int cuDevicePrimaryCtxRelease_v2(int device);

    [LibraryImport(Library)]
    private static partial int cuCtxPushCurrent_v2(nint context);

    [LibraryImport(Library)]
    private static partial int cuCtxPopCurrent_v2(out nint context);

    [LibraryImport(Library)]
    private static partial int cuStreamCreate(out nint stream, uint flags);

    [LibraryImport(Library)]
    private static partial int cuStreamDestroy_v2(nint stream);

    [LibraryImport(Library)]
    private static partial int cuStreamSynchronize(nint stream);
}
