using OrtCpr.Devices;

namespace OrtCpr.Tests.Cuda;

/// <summary>Where tests run the GPU's kernels: on the GPU that ORTCPR_DEVICE names, or else on the host.</summary>
internal static class KernelDevice
{
    private static readonly string? Name =
        Environment.GetEnvironmentVariable("ORTCPR_DEVICE") is { } given && given.StartsWith("cuda", StringComparison.Ordinal)
            ? given : null;

    public static bool IsHost => Name is null;

    public static Device Open() => Name is null ? new HostKernelDevice() : DeviceCatalog.Open(Name);
}
