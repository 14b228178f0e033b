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

    private static int SizeOf<T>() where T : unmanaged => Marshal.SizeOf<T>();

    private static string Carried(string kernel) => Encoding.ASCII.GetString(CudaLauncher.PtxOf(kernel)).TrimEnd('\0');

    [GeneratedRegex(@"\.visible \.entry (?<name>\w+)\(\s*\.param \.align 8 \.b8 \w+\[(?<size>\d+)\]\s*\)")]
    private static partial Regex Entry();
}
