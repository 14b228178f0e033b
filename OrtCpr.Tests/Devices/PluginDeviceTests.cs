using System.Text.RegularExpressions;
using OrtCpr.Devices;
using OrtCpr.Tests.House;

namespace OrtCpr.Tests.Devices;

/// <summary>Which device a plugin's library stands for when several plugins are in one process.</summary>
[TestClass]
public sealed partial class PluginDeviceTests
{
    private const string Cpu = "CPUExecutionProvider", Library = "/plugins/libwebgpu.so";

    private static readonly HashSet<string> Own = ["WebGpuExecutionProvider"];

    [TestMethod]
    public void TheDeviceThatNamesTheLibrary_IsTaken() =>
        Assert.AreEqual(2, PluginDevice.Choose([(Cpu, null), ("Other", "/plugins/libother.so"), ("WebGpuExecutionProvider", Library)],
            Library, Own));

    [TestMethod]
    public void AProviderThatCameWithTheLibrary_IsTaken_WhereNoneNamesIt() =>
        Assert.AreEqual(2, PluginDevice.Choose([(Cpu, null), ("Other", null), ("WebGpuExecutionProvider", null)], Library, Own));

    [TestMethod]
    public void AnotherPluginsDevice_IsNeverTaken()
    {
        Assert.AreEqual(-1, PluginDevice.Choose([(Cpu, null), ("Other", null), ("Other", "/plugins/libother.so")], Library, Own));
        Assert.AreEqual(-1, PluginDevice.Choose([("WebGpuExecutionProvider", "/elsewhere/libwebgpu.so")], Library, Own));
    }

    /// <summary>The environment is the process's, and changing it while another thread reads it is undefined.</summary>
    [TestMethod]
    public void NoLibraryChangesTheEnvironment()
    {
        string[] found = [.. Repository.Sources("OrtCpr").Concat(Repository.Sources("OrtCpr.Graph"))
            .Where(s => s.Lines.Any(l => Setting().IsMatch(l))).Select(s => s.Path)];
        Assert.IsEmpty(found, string.Join('\n', found));
    }

    [GeneratedRegex(@"\b(setenv|putenv|SetEnvironmentVariable)\b")]
    private static partial Regex Setting();
}
