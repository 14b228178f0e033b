using System.Security.Cryptography;
using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class ExternalDataFolderTests
{
    private static readonly TensorData Shape = OnnxModels.Ramp(2, 3);

    [TestMethod]
    public void Read_TakesOffsetAndLength_AndOutlivesItsFolder()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["w.bin"], [9, 9, 9, 9, .. Shape.Bytes.ToArray(), 9]);
        TensorData read;
        using (ModelFile model = Load(folder, ("location", "w.bin"), ("offset", "4"), ("length", "24")))
            read = model.ReadInitializer(model.Proto.Graph.Initializer[0]);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        CollectionAssert.AreEqual(Shape.ToArray<float>(), read.ToArray<float>());
    }

    [TestMethod]
    public void Read_WithoutOffsetAndLength_TakesTheShape()
    {
        using TemporaryFolder folder = new();
        Directory.CreateDirectory(folder["data"]);
        File.WriteAllBytes(Path.Combine(folder["data"], "w.bin"), Shape.Bytes.ToArray());
        using ModelFile model = Load(folder, ("location", "./data/w.bin"));
        CollectionAssert.AreEqual(Shape.ToArray<float>(), model.ReadInitializer(model.Proto.Graph.Initializer[0]).ToArray<float>());
    }

    [TestMethod]
    public void MissingFiles_AreReportedOnce_WithTheirTensors()
    {
        using TemporaryFolder folder = new();
        TensorProto[] tensors =
            [.. Enumerable.Range(0, 5).Select(i => OnnxModels.External($"w{i}", Shape, ("location", i < 4 ? "a.bin" : "b.bin")))];
        string message = OnnxModels.LoadError(OnnxModels.With(tensors), folder.FolderPath);
        OnnxModels.Contains(message, "'w0'", "'w1'", "'w2' and 1 more", "'a.bin'", "'w4'", "'b.bin'", folder.FolderPath, "initialization");
        Assert.DoesNotContain("'w3'", message);
    }

    [TestMethod]
    public void ShortFile_IsRefusedWithBothNumbers() =>
        OnnxModels.Contains(Error(("location", "w.bin"), ("offset", "4")), "'w'", "needed 28", "found 24");

    [TestMethod]
    public void LengthThatDoesNotFitTheShape_IsRefused() =>
        OnnxModels.Contains(Error(("location", "w.bin"), ("length", "20")), "'w'", "24 bytes", "found 20");

    [TestMethod]
    [DataRow("offset", "-4")]
    [DataRow("length", "-24")]
    [DataRow("offset", "9223372036854775808")]
    [DataRow("length", "1e3")]
    public void OffsetsAndLengthsThatAreNoSizes_AreRefused(string key, string value) =>
        OnnxModels.Contains(Error(("location", "w.bin"), (key, value)), "'w'", key, $"'{value}'");

    [TestMethod]
    public void OverflowingOffsets_AreRefused()
    {
        OnnxModels.Contains(Error(("location", "w.bin"), ("offset", $"{long.MaxValue}"), ("length", "24")), "'w'",
            "offset 9223372036854775807");
        OnnxModels.Contains(Error(("location", "w.bin"), ("offset", $"{long.MaxValue}")), "'w'", "offset 9223372036854775807");
    }

    [TestMethod]
    [DataRow("../w.bin", "upwards")]
    [DataRow("data/../../w.bin", "upwards")]
    [DataRow("data\\..\\w.bin", "upwards")]
    [DataRow("/etc/hostname", "absolute")]
    [DataRow("\\\\server\\w.bin", "absolute")]
    [DataRow("C:w.bin", "absolute")]
    [DataRow("w\0.bin", "no path")]
    [DataRow("", "no location")]
    public void LocationsOutsideTheFolder_AreRefused(string location, string reason) =>
        OnnxModels.Contains(Error(("location", location)), "'w'", reason);

    [TestMethod]
    public void Links_AreRefused_AlsoThoseOfFoldersAndThoseThatPointNowhere()
    {
        using TemporaryFolder folder = new();
        using TemporaryFolder other = new();
        File.WriteAllBytes(other["w.bin"], Shape.Bytes.ToArray());
        try
        {
            File.CreateSymbolicLink(folder["link.bin"], other["w.bin"]);
            File.CreateSymbolicLink(folder["broken.bin"], other["none"]);
            Directory.CreateSymbolicLink(folder["sub"], other.FolderPath);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Assert.Inconclusive("This system does not let us make links.");
        }
        foreach (string location in new[] { "link.bin", "broken.bin", "sub/w.bin" })
        {
            ModelProto model = OnnxModels.With(OnnxModels.External("w", Shape, ("location", location)));
            OnnxModels.Contains(OnnxModels.LoadError(model, folder.FolderPath), "'w'", location, "a link");
        }
    }

    [TestMethod]
    public void AModelFolderThatIsALink_IsFine()
    {
        using TemporaryFolder folder = new();
        using TemporaryFolder other = new();
        File.WriteAllBytes(other["w.bin"], Shape.Bytes.ToArray());
        try
        {
            Directory.CreateSymbolicLink(folder["sub"], other.FolderPath);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Assert.Inconclusive("This system does not let us make links.");
        }
        ModelProto model = OnnxModels.With(OnnxModels.External("w", Shape, ("location", "w.bin")));
        Assert.AreEqual(folder["sub"], ModelFile.Load(model.ToByteArray(), folder["sub"]).Folder!.FolderPath);
    }

    [TestMethod]
    public void AFolderInPlaceOfTheFile_IsRefused()
    {
        using TemporaryFolder folder = new();
        Directory.CreateDirectory(folder["w.bin"]);
        ModelProto model = OnnxModels.With(OnnxModels.External("w", Shape, ("location", "w.bin")));
        OnnxModels.Contains(OnnxModels.LoadError(model, folder.FolderPath), "'w'", "w.bin", "a folder");
    }

    [TestMethod]
    public void Checksums_AreChecked()
    {
#pragma warning disable CA5350 // ONNX names SHA-1 for the checksum of external data.
        string right = Convert.ToHexString(SHA1.HashData(Shape.Bytes.Span));
#pragma warning restore CA5350
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["w.bin"], Shape.Bytes.ToArray());
        Load(folder, ("location", "w.bin"), ("checksum", right)).Dispose();
        OnnxModels.Contains(Error(("location", "w.bin"), ("checksum", "00")), "'w'", right, "checksum 00");
    }

    [TestMethod]
    public void AModelFromMemoryWithoutAFolder_SaysSo() =>
        OnnxModels.Contains(OnnxModels.LoadError(OnnxModels.With(OnnxModels.External("w", Shape, ("location", "w.bin")))), "'w'", "w.bin",
            "no folder");

    [TestMethod]
    public void ExternalStrings_AreRefused()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["w.bin"], [1]);
        ModelProto model = OnnxModels.With(OnnxModels.External("w", TensorData.FromStrings(["a"], 1), ("location", "w.bin")));
        OnnxModels.Contains(OnnxModels.LoadError(model, folder.FolderPath), "'w'", "string");
    }

    [TestMethod]
    public void ExternalTensorsInAttributes_AreChecked()
    {
        using TemporaryFolder folder = new();
        ModelProto model = OnnxModels.Linear();
        model.Graph.Node[2].Attribute[0].T = OnnxModels.External("", Shape, ("location", "c.bin"));
        OnnxModels.Contains(OnnxModels.LoadError(model, folder.FolderPath), "attribute 'value' of Constant node 'c'", "c.bin");
    }

    private static ModelFile Load(TemporaryFolder folder, params (string, string)[] entries) =>
        ModelFile.Load(OnnxModels.With(OnnxModels.External("w", Shape, entries)).ToByteArray(), folder.FolderPath);

    /// <summary>The error for a tensor Float[2,3] where w.bin has its 24 bytes.</summary>
    private static string Error(params (string, string)[] entries)
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["w.bin"], Shape.Bytes.ToArray());
        return OnnxModels.LoadError(OnnxModels.With(OnnxModels.External("w", Shape, entries)), folder.FolderPath);
    }
}
