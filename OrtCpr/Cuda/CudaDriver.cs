using System.Runtime.InteropServices;

namespace OrtCpr.Cuda;

/// <summary>The functions of NVIDIA's driver (libcuda, nvcuda.dll) that kernels of ours need. They come with the driver: no
/// part of the CUDA toolkit is used here.</summary>
internal sealed unsafe partial class CudaDriver
{
    private const string Linux = "libcuda.so.1", Windows = "nvcuda.dll";

    /// <summary>Libraries that belong to no context (cuLibraryLoadData) came with CUDA 12.0.</summary>
    private const int LeastVersion = 12000;

    private static readonly Lazy<CudaDriver> Loaded = new(() => new CudaDriver());

    private readonly nint _library;
    private readonly delegate* unmanaged<nint, int> _setContext;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;

    private CudaDriver()
    {
        string name = OperatingSystem.IsWindows() ? Windows : Linux;
        if (!NativeLibrary.TryLoad(name, out _library))
        {
            throw new DeviceException(
                $"NVIDIA's driver library {name} is not found. Install the NVIDIA driver (580 or later for CUDA 13), or use 'cpu'.");
        }
        _setContext = (delegate* unmanaged<nint, int>)Function("cuCtxSetCurrent");
        _launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Function(
            "cuLaunchKernel");
        Check(((delegate* unmanaged<uint, int>)Function("cuInit"))(0), "start the driver");
        int version;
        Check(((delegate* unmanaged<int*, int>)Function("cuDriverGetVersion"))(&version), "read the driver's version");
        if (version < LeastVersion)
        {
            throw new DeviceException($"The NVIDIA driver is for CUDA {version / 1000}.{version % 1000 / 10}; kernels of OrtCpr need a "
                + $"driver for CUDA {LeastVersion / 1000}.0 or later. Install driver 580 or later.");
        }
    }

    /// <summary>The driver of this machine.</summary>
    /// <exception cref="DeviceException">There is none, or it is too old.</exception>
    public static CudaDriver Instance => Loaded.Value;

    /// <summary>Keeps the context that CUDA's runtime, and so ONNX Runtime, uses on a device.</summary>
    public nint RetainContext(int device)
    {
        int handle;
        Check(((delegate* unmanaged<int*, int, int>)Function("cuDeviceGet"))(&handle, device), $"open device {device}");
        nint context;
        Check(((delegate* unmanaged<nint*, int, int>)Function("cuDevicePrimaryCtxRetain"))(&context, handle), $"open device {device}");
        return context;
    }

    /// <summary>Ends <see cref="RetainContext"/>.</summary>
    public void ReleaseContext(int device) => ((delegate* unmanaged<int, int>)Function("cuDevicePrimaryCtxRelease_v2"))(device);

    /// <summary>Makes a context that of the calling thread.</summary>
    public void SetContext(nint context) => Check(_setContext(context), "choose the device");

    /// <summary>Loads PTX, which the driver compiles for the device, or takes from its own cache.</summary>
    public nint LoadLibrary(byte* ptx, string what)
    {
        nint library;
        Check(((delegate* unmanaged<nint*, void*, void*, void*, uint, void*, void*, uint, int>)Function("cuLibraryLoadData"))(
            &library, ptx, null, null, 0, null, null, 0), $"compile {what}");
        return library;
    }

    /// <summary>Ends <see cref="LoadLibrary"/>.</summary>
    public void UnloadLibrary(nint library) => ((delegate* unmanaged<nint, int>)Function("cuLibraryUnload"))(library);

    /// <summary>A kernel of a library, by its entry.</summary>
    public nint GetKernel(nint library, string entry)
    {
        nint kernel, name = Marshal.StringToCoTaskMemUTF8(entry);
        try
        {
            Check(((delegate* unmanaged<nint*, nint, nint, int>)Function("cuLibraryGetKernel"))(&kernel, library, name), $"find {entry}");
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
        }
        return kernel;
    }

    /// <summary>Starts a kernel of one parameter on a stream.</summary>
    public void Launch(nint kernel, uint blocks, uint threads, nint stream, void* parameter, string what) =>
        Check(_launch(kernel, blocks, 1, 1, threads, 1, 1, 0, stream, &parameter, null), $"start {what}");

    /// <summary>Memory of the device, aligned to 256 bytes, for <see cref="Free"/>.</summary>
    public nint Allocate(nint bytes)
    {
        nint address;
        int status = ((delegate* unmanaged<nint*, nuint, int>)Function("cuMemAlloc_v2"))(&address, (nuint)Math.Max(bytes, 1));
        if (status != OutOfMemory)
        {
            Check(status, $"allocate {bytes} bytes");
            return address;
        }
        (ulong free, ulong total) = Memory();
        throw new DeviceException(
            $"The GPU has no {Megabytes((ulong)bytes)} MiB left for intermediate results of a step: {Megabytes(free)} of "
            + $"{Megabytes(total)} MiB are free. Use smaller batches with gradient accumulation, or recompute blocks of the model.");
    }

    /// <summary>Gives memory back.</summary>
    public void Free(nint address) => ((delegate* unmanaged<nint, int>)Function("cuMemFree_v2"))(address);

    /// <summary>Bytes that are free on the device of the thread's context, and all.</summary>
    public (ulong Free, ulong Total) Memory()
    {
        nuint free = 0, total = 0;
        _ = ((delegate* unmanaged<nuint*, nuint*, int>)Function("cuMemGetInfo_v2"))(&free, &total);
        return (free, total);
    }

    /// <summary>A stream that waits for the default stream, on which ONNX Runtime copies when an input is bound, as that one waits
    /// for it.</summary>
    public nint CreateStream()
    {
        nint stream;
        Check(((delegate* unmanaged<nint*, uint, int>)Function("cuStreamCreate"))(&stream, 0), "make a stream");
        return stream;
    }

    /// <summary>Ends <see cref="CreateStream"/>.</summary>
    public void DestroyStream(nint stream) => ((delegate* unmanaged<nint, int>)Function("cuStreamDestroy_v2"))(stream);

    /// <summary>Copies between any two memories, after what was started before on the stream. Memory of the host that
    /// is not page-locked is free again on return.</summary>
    public void Copy(nint from, nint to, nint bytes, nint stream) =>
        Check(((delegate* unmanaged<nint, nint, nuint, nint, int>)Function("cuMemcpyAsync"))(to, from, (nuint)bytes, stream), "copy");

    /// <summary>Fills memory of the device with zeros, after what was started before on the stream.</summary>
    public void Clear(nint address, nint bytes, nint stream) =>
        Check(((delegate* unmanaged<nint, byte, nuint, nint, int>)Function("cuMemsetD8Async"))(address, 0, (nuint)bytes, stream), "clear");

    /// <summary>Waits until everything is done that was started on a stream.</summary>
    public void Wait(nint stream) => Check(((delegate* unmanaged<nint, int>)Function("cuStreamSynchronize"))(stream), "finish its work");

    private const int OutOfMemory = 2;

    private static ulong Megabytes(ulong bytes) => bytes / (1024 * 1024);

    private nint Function(string name) => NativeLibrary.TryGetExport(_library, name, out nint address) ? address
        : throw new DeviceException($"The NVIDIA driver has no function {name}: it is too old. Install driver 580 or later.");

    private void Check(int status, string what)
    {
        if (status == 0)
            return;
        byte* name, text;
        bool isKnown = ((delegate* unmanaged<int, byte**, int>)Function("cuGetErrorName"))(status, &name) == 0
            & ((delegate* unmanaged<int, byte**, int>)Function("cuGetErrorString"))(status, &text) == 0;
        string error = isKnown ? $"{Marshal.PtrToStringUTF8((nint)name)} ({status}), {Marshal.PtrToStringUTF8((nint)text)}"
            : $"error {status}";
        throw new DeviceException($"The NVIDIA driver could not {what}: {error}. {WayOut(status)}");
    }

    // CUresult of cuda.h.
    private static string WayOut(int status) => status switch
    {
        100 => "There is no NVIDIA GPU, or it is hidden (CUDA_VISIBLE_DEVICES).",
        101 => "There is no GPU of that number; 'ortcpr devices' lists those that there are.",
        209 or 218 or 222 => "The driver cannot compile kernels of OrtCpr for this GPU: a GPU of compute capability 7.5 (Turing) or "
            + "later and driver 580 or later are needed. To go on without them, turn kernels off (--kernels off).",
        700 or 716 or 719 => "A kernel read or wrote outside of its tensors, which is our fault, and the process has to be started again. "
            + "Please report it; to go on without kernels of OrtCpr, turn them off (--kernels off).",
        _ => "Check the driver, or use 'cpu'.",
    };
}
