using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Graph;

namespace OrtCpr.Devices;

/// <summary>An NVIDIA GPU through the classic CUDA provider, which the application's native library must be built for.
/// Memory and copies go through small sessions of its own: the environment knows no copy for a provider that was not
/// registered as a plugin.</summary>
internal sealed class CudaDevice : Device
{
    private readonly int _id;
    private readonly IReadOnlyDictionary<string, string> _options;
    private readonly Dictionary<ElementType, IdentitySession> _copies = [];
    private readonly OrtMemoryInfo _memory;
    private readonly OrtAllocator _allocator;

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
            _allocator = new OrtAllocator(CopySession(ElementType.Float).Session, _memory);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override OrtMemoryInfo Memory => _memory;

    public override void Configure(SessionOptions options) => Configure(options, Precision.Float32);

    public override void Configure(SessionOptions options, Precision precision)
    {
        try
        {
            using var provider = new OrtCUDAProviderOptions();
            var all = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["device_id"] = $"{_id}",
                ["use_tf32"] = precision == Precision.TensorFloat32 ? "1" : "0",
            };
            foreach ((string key, string value) in _options) all[key] = value;
            provider.UpdateOptions(all);
            options.AppendExecutionProvider_CUDA(provider);
        }
        catch (Exception error) when (error is OnnxRuntimeException or EntryPointNotFoundException or DllNotFoundException)
        {
            throw new DeviceException($"Device '{Name}': {Explain(error.Message)} (ONNX Runtime: {error.Message})", error);
        }
    }

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) =>
        OrtValue.CreateAllocatedTensorValue(_allocator, (TensorElementType)(int)type, [.. dims]);

    protected override void CopyNow(OrtValue from, OrtValue to) =>
        CopySession((ElementType)(int)from.GetTensorTypeAndShape().ElementDataType).Copy(from, to);

    public override void Dispose()
    {
        _allocator?.Dispose();
        _memory.Dispose();
        foreach (IdentitySession copy in _copies.Values) copy.Dispose();
        _copies.Clear();
        base.Dispose();
    }

    private IdentitySession CopySession(ElementType type)
    {
        if (!_copies.TryGetValue(type, out IdentitySession? copy)) _copies[type] = copy = new IdentitySession(type, Configure);
        return copy;
    }

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
