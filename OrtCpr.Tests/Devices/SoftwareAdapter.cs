using System.Runtime.InteropServices;

namespace OrtCpr.Tests.Devices;

// The WebGPU provider plugin on a Vulkan driver in software, where a folder with both is to be had: named by ORTCPR_WEBGPU, or beside the
// repository.
internal static class SoftwareAdapter
{
    private const string SoftwareDriver = "vk_swiftshader_icd.json", VulkanLoader = "libvulkan.so.1";

    private static readonly string? Folder = Find();
    private static readonly Lazy<bool> Prepared = new(Prepare);

    // Where training on a device is tested: what ORTCPR_DEVICE names, such as cuda, or else the adapter.
    public static string DeviceOfChoice => Environment.GetEnvironmentVariable("ORTCPR_DEVICE") is { Length: > 0 } given ? given : Device();

    // The device with every check of WebGPU's rules on. Without it the test is inconclusive, and says why.
    public static string Device(string options = "validationMode=full")
    {
        if (Folder is null)
        {
            Assert.Inconclusive("There is no WebGPU provider plugin here: set ORTCPR_WEBGPU to the folder that holds it (with a Vulkan "
                + "driver in software for machines without a GPU).");
        }
        _ = Prepared.Value;
        return $"webgpu:{Folder},{options}";
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("ORTCPR_WEBGPU") is { Length: > 0 } given) return given;
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string beside = Path.Combine(at.FullName, "shared", "tools", "webgpu-software", "linux-x64");
            if (OperatingSystem.IsLinux() && Directory.Exists(beside)) return beside;
        }
        return null;
    }

    /// <summary>Points the plugin at a Vulkan driver in software that lies beside it. The C library's environment, since the plugin does
    /// not see .NET's copy of it.</summary>
    /// <returns>Whether there is one.</returns>
    private static bool Prepare()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists(Path.Combine(Folder!, SoftwareDriver))) return false;
        _ = SetEnvironment("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1", 1);
        _ = SetEnvironment("VK_ICD_FILENAMES", Path.Combine(Folder!, SoftwareDriver), 1);
        string loader = Path.Combine(Folder!, VulkanLoader);
        if (File.Exists(loader)) NativeLibrary.Load(loader);
        return true;
    }

    [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetEnvironment(string name, string value, int overwrite);
}
