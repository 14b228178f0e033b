using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Graph;

namespace OrtCpr.Devices;

/// <summary>A device of an execution provider plugin: a library that is registered with ONNX Runtime's environment,
/// once a process.</summary>
internal sealed class PluginDevice : Device
{
    private static readonly string[] LibraryNames = ["libonnxruntime_providers_webgpu.so", "onnxruntime_providers_webgpu.dll",
        "libonnxruntime_providers_webgpu.dylib"];

    /// <summary>The plugin takes any other name without a word.</summary>
    private static readonly HashSet<string> OptionNames = new(StringComparer.Ordinal)
    {
        "validationMode", "enableInt64", "preferredLayout", "dawnBackendType", "deviceId", "forceCpuNodeNames", "storageBufferCacheMode",
            "uniformBufferCacheMode",
        "queryResolveBufferCacheMode", "defaultBufferCacheMode", "maxStorageBufferBindingSize", "maxNumPendingDispatches",
            "powerPreference", "preserveDevice",
        "enableRobustness", "enablePIXCapture", "sessionBufferPoolGenerations", "webgpuDevice", "webgpuInstance", "dawnProcTable",
    };

    /// <summary>Registrations belong to the environment, which lives as long as the process; a second one of the same
    /// library would be an error.</summary>
    private static readonly Lock Registering = new();
    private static readonly Dictionary<string, Registration> Registered = new(StringComparer.Ordinal);

    private readonly OrtEpDevice _device;
    private readonly OrtAllocator _allocator;
    private readonly Dictionary<string, string> _options;

    private PluginDevice(string name, DeviceCapabilities capabilities, OrtEpDevice device, OrtAllocator allocator,
        Dictionary<string, string> options)
        : base(name, capabilities)
    {
        _device = device;
        _allocator = allocator;
        _options = options;
    }

    /// <summary><c>path</c>: the library, or the folder that holds it.</summary>
    public static PluginDevice Open(string name, string path, IReadOnlyDictionary<string, string> options, DeviceCapabilities capabilities)
    {
        RefuseOptions(name, options, capabilities);
        string library = FindLibrary(name, path);
        Registration registration = Register(name, library);
        OrtEpDevice[] devices = [.. OrtEnv.Instance().GetEpDevices()];
        int chosen = Choose([.. devices.Select(d => (d.EpName, LibraryOf(d)))], library, registration.Providers);
        if (chosen < 0)
        {
            throw new DeviceException(
                $"Device '{name}': the provider library '{library}' was loaded as '{registration.Name}', but it offers no device "
                + "on this machine. Install the driver of the GPU (a Vulkan driver on Linux), or use 'cpu'.");
        }
        OrtEpDevice device = devices[chosen];
        using OrtMemoryInfo memory = device.GetMemoryInfo(OrtDeviceMemoryType.DEFAULT);
        // Without memory of its own the handle is invalid; reading its name would end the process.
        if (memory.IsInvalid) throw new DeviceException($"Device '{name}': provider '{device.EpName}' has no device memory. Use 'cpu'.");
        // Integers are state here. In the other layout the runtime wraps transposes around integer tensors, which have no kernel.
        var all = new Dictionary<string, string>(StringComparer.Ordinal) { ["enableInt64"] = "1", ["preferredLayout"] = "NCHW" };
        foreach ((string key, string value) in options) all[key] = value;
        return new PluginDevice(name, capabilities, device, OrtEnv.Instance().GetSharedAllocator(memory), all);
    }

    public override void Configure(SessionOptions options) => options.AppendExecutionProvider(OrtEnv.Instance(), [_device], _options);

    public override OrtValue Allocate(ElementType type, IReadOnlyList<long> dims) =>
        OrtValue.CreateAllocatedTensorValue(_allocator, (TensorElementType)(int)type, [.. dims]);

    protected override void CopyNow(OrtValue from, OrtValue to) => OrtEnv.Instance().CopyTensors([from], [to], null);

    public override void Dispose()
    {
        _allocator.Dispose();
        base.Dispose();
    }

    private static void RefuseOptions(string name, IReadOnlyDictionary<string, string> options, DeviceCapabilities capabilities)
    {
        if (capabilities != DeviceCapabilities.WebGpu) return;
        // A captured graph runs twice in its first run and ignores later bindings: state would be updated twice.
        if (options.ContainsKey("enableGraphCapture"))
        {
            throw new DeviceException(
                $"Device '{name}': enableGraphCapture runs the first step twice, which trains wrongly. Leave it out.");
        }
        string[] unknown = [.. options.Keys.Where(k => !OptionNames.Contains(k))];
        if (unknown.Length > 0)
        {
            throw new DeviceException(
                $"Device '{name}': the provider has no option {string.Join(", ", unknown.Select(u => $"'{u}'"))} and would ignore it. "
                + $"Options, by their short names: {string.Join(", ", OptionNames.Order(StringComparer.Ordinal))}.");
        }
    }

    private static string FindLibrary(string name, string path)
    {
        if (File.Exists(path)) return Path.GetFullPath(path);
        string? found = Directory.Exists(path) ? LibraryNames.Select(n => Path.Combine(path, n)).FirstOrDefault(File.Exists) : null;
        return found is not null ? Path.GetFullPath(found)
            : throw new DeviceException(
                $"Device '{name}': there is no provider library at '{path}'. Expected the library of ONNX Runtime's WebGPU plugin "
                + $"({LibraryNames[0]}, from the package onnxruntime-ep-webgpu) or a folder that holds it.");
    }

    /// <summary>Which device of the environment belongs to a library: one that names the library, or else one of a
    /// provider that came with it. Never one of another plugin.</summary>
    /// <param name="devices">Provider and library (null where it does not tell) of each device.</param>
    /// <param name="library">The library.</param>
    /// <param name="providers">Providers that its registration brought.</param>
    /// <returns>An index; −1 where there is none.</returns>
    internal static int Choose(
        IReadOnlyList<(string Provider, string? Library)> devices, string library, IReadOnlySet<string> providers)
    {
        for (int i = 0; i < devices.Count; i++)
        {
            if (devices[i].Library == library) return i;
        }
        for (int i = 0; i < devices.Count; i++)
        {
            if (devices[i].Library is null && providers.Contains(devices[i].Provider)) return i;
        }
        return -1;
    }

    private static string? LibraryOf(OrtEpDevice device) =>
        device.EpMetadata.Entries.TryGetValue("library_path", out string? library) ? library : null;

    private static Registration Register(string name, string library)
    {
        lock (Registering)
        {
            if (Registered.TryGetValue(library, out Registration? known)) return known;
            string registration = Registered.Count == 0 ? "ortcpr" : $"ortcpr{Registered.Count}";
            var before = OrtEnv.Instance().GetEpDevices().Select(d => d.EpName).ToHashSet(StringComparer.Ordinal);
            try
            {
                OrtEnv.Instance().RegisterExecutionProviderLibrary(registration, library);
            }
            catch (OnnxRuntimeException error)
            {
                throw new DeviceException($"Device '{name}': ONNX Runtime could not load the provider library '{library}': {error.Message} "
                    + "Install what it misses, and take a plugin for API version 31 or below (ONNX Runtime 1.31).", error);
            }
            var providers = OrtEnv.Instance().GetEpDevices().Select(d => d.EpName).Where(p => !before.Contains(p))
                .ToHashSet(StringComparer.Ordinal);
            return Registered[library] = new Registration(registration, providers);
        }
    }

    /// <summary>A library that the environment knows.</summary>
    /// <param name="Name">The name that it is registered by.</param>
    /// <param name="Providers">The providers that came with it.</param>
    private sealed record Registration(string Name, IReadOnlySet<string> Providers);
}
