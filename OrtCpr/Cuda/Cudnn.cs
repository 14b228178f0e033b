using System.Runtime.InteropServices;

namespace OrtCpr.Cuda;

/// <summary>The functions of cuDNN 9 that gradients of convolutions need: its legacy interface, which has had them since
/// version 3. ONNX Runtime's CUDA provider uses the same library.</summary>
internal sealed unsafe class Cudnn
{
    private const string Linux = "libcudnn.so.9", Windows = "cudnn64_9.dll";

    private static readonly Lazy<Cudnn?> Loaded = new(TryLoad);

    private readonly nint _library;

    private Cudnn(nint library) => _library = library;

    /// <summary>The library of this machine; null where there is none.</summary>
    public static Cudnn? Instance => Loaded.Value;

    /// <summary>What its file is called here.</summary>
    public static string FileName => OperatingSystem.IsWindows() ? Windows : Linux;

    /// <summary>An algorithm as the library's heuristics rate it (cudnnConvolutionBwdFilterAlgoPerf_t, and that of BwdData).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct AlgorithmRating
    {
        public int Algorithm;
        public int Status;
        public float Time;
        public nuint Memory;
        public int IsDeterministic;
        public int MathType;
        private readonly int _reserved1, _reserved2, _reserved3;
    }

    public nint Create() => Made("cudnnCreate");

    public void Destroy(nint handle) => ((delegate* unmanaged<nint, int>)Function("cudnnDestroy"))(handle);

    public void SetStream(nint handle, nint stream) =>
        Check(((delegate* unmanaged<nint, nint, int>)Function("cudnnSetStream"))(handle, stream), "set the stream");

    /// <summary>A dense tensor of float32, NCHW.</summary>
    public nint CreateTensor(nint n, nint c, nint h, nint w)
    {
        nint tensor = Made("cudnnCreateTensorDescriptor");
        Check(((delegate* unmanaged<nint, int, int, int, int, int, int, int>)Function("cudnnSetTensor4dDescriptor"))(
            tensor, 0, 0, checked((int)n), checked((int)c), checked((int)h), checked((int)w)), "describe a tensor");
        return tensor;
    }

    public void DestroyTensor(nint tensor) => ((delegate* unmanaged<nint, int>)Function("cudnnDestroyTensorDescriptor"))(tensor);

    /// <summary>A filter of float32, [outputs, channels, height, width].</summary>
    public nint CreateFilter(nint outputs, nint channels, nint h, nint w)
    {
        nint filter = Made("cudnnCreateFilterDescriptor");
        Check(((delegate* unmanaged<nint, int, int, int, int, int, int, int>)Function("cudnnSetFilter4dDescriptor"))(
            filter, 0, 0, checked((int)outputs), checked((int)channels), checked((int)h), checked((int)w)), "describe a filter");
        return filter;
    }

    public void DestroyFilter(nint filter) => ((delegate* unmanaged<nint, int>)Function("cudnnDestroyFilterDescriptor"))(filter);

    /// <summary>The geometry of a convolution; <c>tf32</c>: products may be rounded to TensorFloat-32.</summary>
    public nint CreateConvolution(in Kernels.ConvShape s, bool tf32)
    {
        // CUDNN_CROSS_CORRELATION, and math types CUDNN_DEFAULT_MATH and CUDNN_FMA_MATH.
        const int crossCorrelation = 1, defaultMath = 0, fmaMath = 3;
        nint convolution = Made("cudnnCreateConvolutionDescriptor");
        Check(((delegate* unmanaged<nint, int, int, int, int, int, int, int, int, int>)Function("cudnnSetConvolution2dDescriptor"))(
            convolution, (int)s.PadTop, (int)s.PadLeft, (int)s.StrideHeight, (int)s.StrideWidth, (int)s.DilationHeight,
            (int)s.DilationWidth, crossCorrelation, 0), "describe a convolution");
        Check(((delegate* unmanaged<nint, int, int>)Function("cudnnSetConvolutionMathType"))(convolution, tf32 ? defaultMath : fmaMath),
            "choose the precision");
        return convolution;
    }

    public void DestroyConvolution(nint convolution) =>
        ((delegate* unmanaged<nint, int>)Function("cudnnDestroyConvolutionDescriptor"))(convolution);

    /// <summary>Algorithms for a gradient, the fastest first.</summary>
    public ReadOnlySpan<AlgorithmRating> Rate(string function, nint handle, nint first, nint second, nint convolution, nint gradient)
    {
        AlgorithmRating[] ratings = new AlgorithmRating[8];
        int count;
        fixed (AlgorithmRating* at = ratings)
        {
            Check(((delegate* unmanaged<nint, nint, nint, nint, nint, int, int*, AlgorithmRating*, int>)Function(function))(
                handle, first, second, convolution, gradient, ratings.Length, &count, at), "choose an algorithm");
        }
        return ratings.AsSpan(0, count);
    }

    /// <summary>Runs a gradient: <c>cudnnConvolutionBackwardFilter</c> or <c>cudnnConvolutionBackwardData</c>.</summary>
    public void Run(string function, nint handle, (nint Descriptor, long Data) first, (nint Descriptor, long Data) second, nint convolution,
        int algorithm, (nint Data, long Bytes) workspace, (nint Descriptor, long Data) gradient)
    {
        float one = 1, zero = 0;
        Check(((delegate* unmanaged<nint, float*, nint, nint, nint, nint, nint, int, nint, nuint, float*, nint, nint, int>)Function(
            function))(handle, &one, first.Descriptor, (nint)first.Data, second.Descriptor, (nint)second.Data, convolution, algorithm,
            workspace.Data, (nuint)workspace.Bytes, &zero, gradient.Descriptor, (nint)gradient.Data), "compute a gradient");
    }

    private static Cudnn? TryLoad() => NativeLibrary.TryLoad(FileName, out nint library) ? new Cudnn(library) : null;

    private nint Made(string function)
    {
        nint made;
        Check(((delegate* unmanaged<nint*, int>)Function(function))(&made), function);
        return made;
    }

    private nint Function(string name) => NativeLibrary.TryGetExport(_library, name, out nint address) ? address
        : throw new DeviceException($"cuDNN ({FileName}) has no function {name}. Install cuDNN 9.");

    private void Check(int status, string what)
    {
        if (status == 0)
            return;
        nint text = ((delegate* unmanaged<int, nint>)Function("cudnnGetErrorString"))(status);
        throw new DeviceException($"cuDNN could not {what}: {Marshal.PtrToStringUTF8(text)} ({status}). To go on without it, turn kernels "
            + "off (--kernels off).");
    }
}
