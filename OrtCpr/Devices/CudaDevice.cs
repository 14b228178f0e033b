using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Cuda;
using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Devices;

/// <summary>An NVIDIA GPU through the classic CUDA provider, which the application's native library must be built for.
/// Memory comes from the provider, through a small session of its own; copies go by NVIDIA's driver. All sessions run on
/// one stream, so none waits for the GPU at the end of a run.</summary>
internal sealed class CudaDevice : Device
{
    private const string StreamOption = "user_compute_stream";

    private readonly int _id;
    private readonly IReadOnlyDictionary<string, string> _options;
    private readonly IdentitySession? _session;
    private readonly OrtMemoryInfo _memory;
    private readonly OrtAllocator _allocator;
    private readonly CudaLauncher? _launcher;
    private readonly CudnnConvolution? _convolutions;
    private readonly CudaCatalog _kernels = null!;

    public CudaDevice(string name, int id, IReadOnlyDictionary<string, string> options) : base(name, DeviceCapabilities.Cuda)
    {
        // A captured graph is warmed up, captured and replayed within one run: state would be updated several times.
        if (options.ContainsKey("enable_cuda_graph"))
        {
            throw new DeviceException(
                $"Device '{name}': enable_cuda_graph runs the first step several times, which trains wrongly. Leave it out.");
        }
        _id = id;
        _options = options;
        _memory = new OrtMemoryInfo(OrtMemoryInfo.allocatorCUDA, OrtAllocatorType.DeviceAllocator, id, OrtMemType.Default);
        try
        {
            // What is missing for the provider is told first, by its own check.
            using (var probe = new SessionOptions()) Configure(probe);
            _launcher = new CudaLauncher(id, StreamOf(name, options));
            _session = new IdentitySession(ElementType.Float, Configure);
            _allocator = new OrtAllocator(_session.Session, _memory);
            if (Cudnn.Instance is Cudnn cudnn)
                _convolutions = new CudnnConvolution(cudnn) { AllowsTensorFloat32 = options.GetValueOrDefault("use_tf32") == "1" };
            _kernels = new CudaCatalog(_launcher, _convolutions);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override OrtMemoryInfo Memory => _memory;

    public override bool HasKernels => true;

    public override bool RunsInOrder => true;

    public override nint Stream => _launcher!.Stream;

    public override void Wait() => _launcher!.Wait();

    public override IDisposable? KeepHostMemory(InferenceSession session)
    {
        using var pinned =
            new OrtMemoryInfo(OrtMemoryInfo.allocatorCUDA_PINNED, OrtAllocatorType.DeviceAllocator, _id, OrtMemType.CpuOutput);
        return new OrtAllocator(session, pinned);
    }

    /// <summary>Nobody asks where kernels are off, which is the way out for a GPU that they don't run on.</summary>
    public override OperatorKernel? FindKernel(OperatorDefinition definition)
    {
        _launcher!.Load();
        return _kernels.Find(definition);
    }

    public override void Configure(SessionOptions options) => Configure(options, Precision.Float32);

    public override void Configure(SessionOptions options, Precision precision)
    {
        // In 16 bits, what products are left in float32 for want of a kernel may be rounded too: to less than they would be.
        bool rounds = precision != Precision.Float32;
        if (rounds && _convolutions is not null) _convolutions.AllowsTensorFloat32 = true;
        try
        {
            using var provider = new OrtCUDAProviderOptions();
            var all = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["device_id"] = $"{_id}",
                ["use_tf32"] = rounds ? "1" : "0",
                // EXHAUSTIVE, the default, tries every algorithm for every new shape: 0.6 s each.
                ["cudnn_conv_algo_search"] = "HEURISTIC",
            };
            if (_launcher is not null)
                (all["has_user_compute_stream"], all[StreamOption]) = ("1", _launcher.Stream.ToString(CultureInfo.InvariantCulture));
            foreach ((string key, string value) in _options) all[key] = value;
            provider.UpdateOptions(all);
            options.AppendExecutionProvider_CUDA(provider);
        }
        catch (Exception error) when (error is OnnxRuntimeException or EntryPointNotFoundException or DllNotFoundException)
        {
            throw new DeviceException($"Device '{Name}': {Explain(error.Message)} (ONNX Runtime: {error.Message})", error);
        }
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims)
    {
        try
        {
            return OrtValue.CreateAllocatedTensorValue(_allocator, (TensorElementType)(int)type, [.. dims]);
        }
        catch (OnnxRuntimeException error)
        {
            long bytes = dims.Aggregate(1L, (n, d) => n * d) * type.BitsPerElement() / 8;
            (ulong free, ulong total) = _launcher!.Memory();
            string message = $"Device '{Name}' has no {bytes >> 20} MiB left: {free} of {total} MiB are free.";
            throw new DeviceException(message, error) { IsOutOfMemory = true };
        }
    }

    public override void Clear(OrtValue value) => _launcher!.Clear(AddressOf(value), (nint)value.GetTensorSizeInBytes());

    // Page-locked memory of the host is read while the copy is under way; other memory the driver copies aside first.
    protected override void CopyNow(OrtValue from, OrtValue to)
    {
        bool isPinned = from.GetTensorMemoryInfo().Name.Contains("Pinned", StringComparison.Ordinal);
        _launcher!.Copy(AddressOf(from), AddressOf(to), (nint)from.GetTensorSizeInBytes(), waits: IsOnHost(to) || isPinned);
    }

    public override void Dispose()
    {
        _allocator?.Dispose();
        _convolutions?.Dispose();
        _launcher?.Dispose();
        _memory.Dispose();
        _session?.Dispose();
        base.Dispose();
    }

    /// <summary>A stream of the caller's; 0 for none.</summary>
    private static nint StreamOf(string name, IReadOnlyDictionary<string, string> options) =>
        !options.TryGetValue(StreamOption, out string? given) ? 0
        : nint.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out nint stream) ? stream
        : throw new DeviceException($"Device '{name}': {StreamOption} is '{given}'; expected the address of a stream as a number.");

    /// <summary>What to install, by what ONNX Runtime said.</summary>
    internal static string Explain(string message) => message switch
    {
        _ when message.Contains("not enabled in this build", StringComparison.Ordinal)
        || message.Contains("Unable to find an entry point", StringComparison.Ordinal) =>
            "the native ONNX Runtime of this application is the CPU build. Reference Microsoft.ML.OnnxRuntime.Gpu instead "
            + "(-p:OrtNative=Gpu in this repository), or put the GPU build's libonnxruntime, libonnxruntime_providers_shared and "
            + "libonnxruntime_providers_cuda of the same version beside the application.",
        _ when message.Contains("cannot open shared object file", StringComparison.Ordinal)
        || message.Contains("Failed to load", StringComparison.Ordinal)
        || message.Contains("LoadLibrary failed", StringComparison.Ordinal) =>
            "a library of CUDA is missing. Install CUDA 13 (cublas, cublasLt, curand, cudart; "
            + "cufft and nvrtc on demand) and cuDNN 9, and put their folders on LD_LIBRARY_PATH (PATH on Windows). "
            + "libcuda comes with the driver.",
        _ when message.Contains("CUDA failure 100", StringComparison.Ordinal)
        || message.Contains("no CUDA-capable device", StringComparison.Ordinal) =>
            "there is no NVIDIA GPU, or it is hidden (CUDA_VISIBLE_DEVICES).",
        _ when message.Contains("driver version is insufficient", StringComparison.Ordinal)
        || message.Contains("CUDA failure 35", StringComparison.Ordinal) =>
            "the NVIDIA driver is too old for CUDA 13. Install driver 580 or later.",
        _ => "the CUDA provider did not start. Check the driver, CUDA 13 and cuDNN 9, or use 'cpu'.",
    };
}
