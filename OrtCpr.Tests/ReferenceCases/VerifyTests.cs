using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.ReferenceCases;

[TestClass]
public sealed class VerifyTests
{
    private static string Case(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "cases", name);

    // Changes one number of one tensor and writes the case, with its model, to a folder.
    private static string Tampered(TemporaryFolder folder, string name, string tensor, Func<TensorData, TensorData> change)
    {
        string path = folder["case.safetensors"];
        using SafetensorsFile file = SafetensorsFile.Read(Case(name));
        var tensors = file.Tensors.ToDictionary(t => t.Key, t => t.Key == tensor ? change(t.Value) : t.Value);
        SafetensorsFile.Write(path, tensors, file.Metadata);
        string model = Path.ChangeExtension(Case(name), ".onnx");
        if (File.Exists(model)) File.Copy(model, Path.ChangeExtension(path, ".onnx"));
        return path;
    }

    private static TensorData OneMore(TensorData data)
    {
        float[] values = data.ToArray<float>();
        values[^1] += 0.01f + (0.01f * Math.Abs(values[^1]));
        return TensorData.From<float>(values, [.. data.Dimensions]);
    }

    [TestMethod]
    [DataRow("ops/relu_at_zero.safetensors", "gradient/X")]
    [DataRow("models/mlp_legacy.safetensors", "loss")]
    [DataRow("optimizer/adamcpr_uniform_l2.safetensors", "lambda/w")]
    [DataRow("optimizer/adamcpr_warm_start_std.safetensors", "param/conv")]
    [DataRow("trajectories/grokking_cpr_dependent_l2.safetensors", "final/head.weight")]
    public void OneChangedNumber_FailsTheCase_AndIsNamed(string name, string tensor)
    {
        using var folder = new TemporaryFolder();
        CaseResult result = CaseRunner.Run(Tampered(folder, name, tensor, OneMore), new DriverOptions());
        Assert.IsFalse(result.Passed);
        StringAssert.Contains(result.Message, tensor);
        StringAssert.Contains(result.Message, "absolute");
    }

    [TestMethod]
    public void UnknownTensor_FailsTheCase()
    {
        using var folder = new TemporaryFolder();
        string path = folder["case.safetensors"];
        using (SafetensorsFile file = SafetensorsFile.Read(Case("optimizer/adam.safetensors")))
        {
            var tensors = new Dictionary<string, TensorData>(file.Tensors) { ["momentum_of_mine/w"] = TensorData.Scalar(1f) };
            SafetensorsFile.Write(path, tensors, file.Metadata);
        }
        CaseResult result = CaseRunner.Run(path, new DriverOptions());
        Assert.IsFalse(result.Passed);
        StringAssert.Contains(result.Message, "momentum_of_mine/w");
    }

    [TestMethod]
    public void DamagedFile_IsAFailedCase_NotAnException()
    {
        using var folder = new TemporaryFolder();
        string path = folder["case.safetensors"];
        File.WriteAllBytes(path, [1, 2, 3]);
        Assert.IsFalse(CaseRunner.Run(path, new DriverOptions()).Passed);
    }

    /// <summary>In a precision, cases with products are held to its units, a changed number beyond those fails, and cases that say
    /// nothing about it are left out.</summary>
    [TestMethod]
    [DataRow(Precision.BFloat16)]
    [DataRow(Precision.Float16)]
    [DataRow(Precision.TensorFloat32)]
    public void APrecision_HasTolerancesOfItsOwn(Precision precision)
    {
        CaseResult mlp = CaseRunner.Run(Case("models/mlp_legacy.safetensors"), new DriverOptions(), precision);
        Assert.IsTrue(mlp.Passed && !mlp.LeftOut, mlp.Message);
        CaseResult run = CaseRunner.Run(Case("trajectories/grokking_cpr_dependent_l2.safetensors"), new DriverOptions(), precision);
        Assert.IsTrue(run is { Passed: true, LeftOut: false, Compared: 1 }, run.Message);
        foreach (string other in new[] { "ops/relu_at_zero.safetensors", "optimizer/adam.safetensors" })
        {
            CaseResult left = CaseRunner.Run(Case(other), new DriverOptions(), precision);
            Assert.IsTrue(left.LeftOut, other);
        }
        using var folder = new TemporaryFolder();
        CaseResult wrong = CaseRunner.Run(Tampered(folder, "models/mlp_legacy.safetensors", "loss",
            data => TensorData.From<float>([data.ToArray<float>()[0] * 1.1f], [.. data.Dimensions])), new DriverOptions(), precision);
        Assert.IsFalse(wrong.Passed);
        StringAssert.Contains(wrong.Message, "loss");
    }
}
