using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>A device as <c>ortcpr devices</c> lists it.</summary>
public sealed record DeviceInfo
{
    /// <summary>What to give as <see cref="DriverOptions.Device"/>.</summary>
    public required string Name { get; init; }

    /// <summary>Whether sessions can be made on it here and now.</summary>
    public required bool Available { get; init; }

    /// <summary>What it is, or why it is not there and what to do.</summary>
    public required string Description { get; init; }
}

/// <summary>The devices that training can run on.</summary>
/// <remarks>Thread-safe. A provider is a row of the table.</remarks>
public static class DeviceCatalog
{
    private sealed record Row(string Prefix, string Form, DeviceCapabilities Capabilities,
        Func<string, string, IReadOnlyDictionary<string, string>, Device> Open);

    private static readonly Row[] Table =
    [
        new("cpu", "cpu", DeviceCapabilities.Cpu, (name, _, _) => new CpuDevice()),
        new("cuda", "cuda or cuda:N", DeviceCapabilities.Cuda, (name, argument, options) =>
            new CudaDevice(name, Number(name, argument), options)),
        new("webgpu", "webgpu:PATH (the provider plugin's library, or its folder)", DeviceCapabilities.WebGpu, (name, argument, options) =>
            PluginDevice.Open(name, argument, options, DeviceCapabilities.WebGpu)),
        new("plugin", "plugin:PATH (any execution provider plugin)", DeviceCapabilities.WebGpu with
            { Name = "plugin" }, (name, argument, options) =>
                PluginDevice.Open(name, argument, options, DeviceCapabilities.WebGpu with { Name = "plugin" })),
        ];

    /// <summary>Forms that a device's name can have.</summary>
    public static IReadOnlyList<string> Forms { get; } = [.. Table.Select(r => r.Form)];

    /// <summary>What a device can do, without opening it.</summary>
    /// <exception cref="DeviceException">The name has none of the <see cref="Forms"/>.</exception>
    internal static DeviceCapabilities CapabilitiesOf(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return RowOf(name).Capabilities;
    }

    /// <summary>Throws nothing: what is wrong with a device's name, or null.</summary>
    internal static string? Problem(string? name)
    {
        (string prefix, string argument, _) = Parse(name ?? "");
        return Table.Any(r => r.Prefix == prefix) && (prefix is not ("webgpu" or "plugin") || argument.Length > 0) ? null
            : $"'{name}'; expected {string.Join(", ", Forms)}; options of the provider follow as ,key=value";
    }

    internal static Device Open(string name)
    {
        (_, string argument, Dictionary<string, string> options) = Parse(name);
        return RowOf(name).Open(name, argument, options);
    }

    private static Row RowOf(string name)
    {
        string prefix = Parse(name).Prefix;
        return Table.FirstOrDefault(r => r.Prefix == prefix) ?? throw new DeviceException($"Device {Problem(name)}.");
    }

    /// <summary>What this machine offers, and why the rest is not there.</summary>
    /// <param name="more">Devices to try beside cpu and cuda, such as <c>webgpu:PATH</c>.</param>
    public static IReadOnlyList<DeviceInfo> List(params IEnumerable<string> more)
    {
        ArgumentNullException.ThrowIfNull(more);
        return [.. new[] { "cpu", "cuda" }.Concat(more).Select(Try)];
    }

    private static DeviceInfo Try(string name)
    {
        DeviceInfo Info(bool available, string description) => new() { Name = name, Available = available, Description = description };
        try
        {
            using Device device = Open(name);
            using var copy = new IdentitySession(ElementType.Float, device.Configure);
            return Info(true, device.IsHost
                ? $"{Environment.ProcessorCount} logical processors, ONNX Runtime {OrtEnv.Instance().GetVersionString()}, fused kernels"
                : $"{device.Capabilities.Name} provider, standard operators");
        }
        catch (DeviceException error)
        {
            return Info(false, error.Message);
        }
        catch (OnnxRuntimeException error)
        {
            return Info(false, error.Message);
        }
    }

    /// <summary>PREFIX[:ARGUMENT][,key=value…]</summary>
    private static (string Prefix, string Argument, Dictionary<string, string> Options) Parse(string name)
    {
        string[] parts = name.Split(',');
        int colon = parts[0].IndexOf(':', StringComparison.Ordinal);
        string prefix = (colon < 0 ? parts[0] : parts[0][..colon]).ToLowerInvariant(), argument = colon < 0 ? "" : parts[0][(colon + 1)..];
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string part in parts.Skip(1))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0) options[part[..equals].Trim()] = part[(equals + 1)..].Trim();
        }
        return (prefix, argument, options);
    }

    private static int Number(string name, string argument) => argument.Length == 0 ? 0
        : int.TryParse(argument, out int id) && id >= 0 ? id
        : throw new DeviceException($"Device '{name}': '{argument}' is no device number; expected 0, 1, …");
}
