using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using OrtCpr.Cuda;
using OrtCpr.CudaKernels;

namespace OrtCpr.Tests.Cuda;

/// <summary>The PTX that the library carries.</summary>
[TestClass]
public sealed partial class PtxTests
{
    private static IEnumerable<object[]> Names => KernelCompiler.Kernels.Select(k => new object[] { k.Name });

    [TestMethod]
    public void CarriedText_IsWhatTheKernelsCompileTo()
    {
        IReadOnlyDictionary<string, string> made = KernelCompiler.Compile();
        CollectionAssert.AreEqual(made.Keys.ToArray(), CudaLauncher.Known.ToArray());
        string[] stale = [.. made.Where(k => k.Value != Carried(k.Key)).Select(k => k.Key)];
        Assert.IsEmpty(stale, $"Run OrtCpr.CudaKernels on OrtCpr/Cuda/Ptx: {string.Join(", ", stale)} have changed.");
    }

    // What the host passes by its address is read by PTX at offsets of its own.
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Entry_TakesOneStruct_OfTheHostsSize(string name)
    {
        Type operands = KernelCompiler.Kernels.Single(k => k.Name == name).GetParameters().Single().ParameterType;
        Match entry = Entry().Match(Carried(name));
        Assert.AreEqual($"Kernel_{name}", entry.Groups["name"].Value);
        int size = (int)typeof(PtxTests).GetMethod(nameof(SizeOf), BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(operands).Invoke(null, null)!;
        Assert.AreEqual(size.ToString(System.Globalization.CultureInfo.InvariantCulture), entry.Groups["size"].Value);
        Assert.IsTrue(operands.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .All(f => f.FieldType != typeof(bool)), "a bool has one byte here and four there");
    }

    // Values that have an address lie in slow memory, and a boolean there is written in a form that no assembler takes.
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Kernel_KeepsEverythingInRegisters(string name) => Assert.DoesNotContain(".local", Carried(name));

    // NVIDIA's assembler, which the driver uses too; ORTCPR_PTXAS names the program of a CUDA toolkit.
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Assembler_TakesTheText_AndSpillsNothing(string name)
    {
        if (Environment.GetEnvironmentVariable("ORTCPR_PTXAS") is not string assembler)
        {
            Assert.Inconclusive("ORTCPR_PTXAS names no ptxas.");
            return;
        }
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["kernel.ptx"], Carried(name));
        foreach (string target in new[] { "sm_75", "sm_80", "sm_90" })
        {
            var start = new ProcessStartInfo(assembler, [$"-arch={target}", "-v", folder["kernel.ptx"], "-o", folder["kernel.cubin"]])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            };
            using Process process = Process.Start(start)!;
            string said = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.AreEqual(0, process.ExitCode, $"{name} for {target}: {said}");
            StringAssert.Contains(said, "0 bytes spill stores, 0 bytes spill loads", $"{name} for {target}: {said}");
        }
    }

    private static int SizeOf<T>() where T : unmanaged => Marshal.SizeOf<T>();

    private static string Carried(string kernel) => Encoding.ASCII.GetString(CudaLauncher.PtxOf(kernel)).TrimEnd('\0');

    [GeneratedRegex(@"\.visible \.entry (?<name>\w+)\(\s*\.param \.align 8 \.b8 \w+\[(?<size>\d+)\]\s*\)")]
    private static partial Regex Entry();
}
