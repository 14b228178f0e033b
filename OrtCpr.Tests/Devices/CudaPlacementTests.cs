using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;
using OrtCpr.Tests.Gradients;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.Devices;

/// <summary>Every graph that we make runs on CUDA as a whole, as far as that can be told without a GPU.</summary>
[TestClass]
public sealed class CudaPlacementTests
{
    /// <summary>Operators that CUDA has no kernel for and that nothing is written for: training through them needs
    /// AllowCpuFallback. To shrink, never to grow.</summary>
    private static readonly string[] Without =
    [
        "AffineGrid", "Col2Im", "CumProd", "DFT", "Det", "MaxRoiPool", "STFT", "Unique", "com.microsoft.CDist",
        "com.microsoft.CropAndResize", "com.microsoft.FusedGemm", "com.microsoft.MatMulIntegerToFloat", "com.microsoft.MaxpoolWithMask",
        "com.microsoft.Unique",
    ];

    private static OnnxModel Adapted(OnnxModel model) => AdaptToDevice.Run(model, DeviceCapabilities.Cuda);

    private static string[] Refused(OnnxModel adapted) =>
        [.. PlacedNodes.Refused(adapted.Graph, CudaPlacement.OnCpu(adapted.Graph)).Select(n => n.QualifiedType).Distinct()
            .Order(StringComparer.Ordinal)];

    [TestMethod]
    public void ReferenceCases_RunOnTheDevice() => Assert.IsEmpty(RefusedCases(DeviceCapabilities.Cuda));

    /// <summary>Those of the cases that a device refused before there were replacements for them (docs/devices.md).</summary>
    [TestMethod]
    public void WithoutReplacements_TheCasesThatADeviceRefused_AreNamed() => CollectionAssert.AreEquivalent(
        new[] { "asin", "asinh", "atan", "conv3d", "reducemean_axes_attribute_opset13", "split_pad_opset17" },
        RefusedCases(DeviceCapabilities.Cuda with { Missing = ["Cosh", "Mean", "Sinh", "Tan"], HostShapes = false }));

    private static string[] RefusedCases(DeviceCapabilities device)
    {
        var refused = new List<string>();
        foreach (string path in Directory.EnumerateFiles(
            Path.Combine(AppContext.BaseDirectory, "Data", "cases", "ops"), "*.safetensors"))
        {
            using var data = new CaseData(path);
            GradientModel model = GradientModel.Build(data.ModelPath, [.. data.Names("cotangent/")], [.. data.Names("gradient/")]);
            if (Refused(AdaptToDevice.Run(model.Model, device)).Length > 0) refused.Add(Path.GetFileNameWithoutExtension(path));
        }
        return [.. refused];
    }

    /// <summary>Over the test data of the rules, which have a row for each operator with a gradient.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void EveryOperator_RunsOnTheDevice_OrIsKnownNotTo(bool dynamic)
    {
        var problems = new List<string>();
        foreach (RuleCase row in RuleCases.All.Where(c => !(dynamic && c.StaticOnly) && !Without.Contains(c.Op)))
        {
            string[] refused = Refused(Adapted(Gradient(row, dynamic)));
            if (refused.Length > 0 && !refused.Any(Without.Contains)) problems.Add($"{row}: {string.Join(", ", refused)}");
        }
        // The last window of ceil_mode needs sizes.
        if (dynamic) problems.RemoveAll(p => p.StartsWith("LpPool(", StringComparison.Ordinal) && p.Contains("ceil_mode=1"));
        Assert.IsEmpty(problems, string.Join("\n", problems));
    }

    [TestMethod]
    public void OperatorsKnownToBeLeft_AreNoneThatRun() => CollectionAssert.AreEqual(Without, Without.Where(op =>
        !CudaPlacement.Kernels.Contains(op) && !DeviceCapabilities.Cuda.Missing.Contains(op)).ToArray());

    /// <summary>What is missing on a device is written in operators that are there.</summary>
    [TestMethod]
    public void MissingOperators_HaveARow()
    {
        string[] rows = [.. DeviceReplacements.Operators];
        foreach (DeviceCapabilities device in new[] { DeviceCapabilities.Cuda, DeviceCapabilities.WebGpu })
            CollectionAssert.IsSubsetOf(device.Missing.ToArray(), rows, device.Name);
    }

    private static OnnxModel Gradient(RuleCase row, bool dynamic)
    {
        (byte[] bytes, string[] outputs) = RuleCheck.Write(row, dynamic, ElementType.Float);
        string[] wrt = [.. RuleCheck.Named(row.Inputs).Where(i => i.Value is { Differentiated: true } && i.Value.Type.IsFloating())
            .Select(i => i.Key)];
        return GradientModel.Build(ModelFile.Load(bytes), [.. outputs.Where((_, i) => row.Of is null || row.Of.Contains(i))], wrt).Model;
    }
}
