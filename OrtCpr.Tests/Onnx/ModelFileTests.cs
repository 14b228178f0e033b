using System.IO.Compression;
using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class ModelFileTests
{
    [TestMethod]
    public void LoadThenSave_ChangesNothing_UnknownFieldsIncluded()
    {
        ModelProto model = OnnxModels.Linear();
        // Fields 900 to the model and 901 to the graph, of a version to come.
        using MemoryStream bytes = new();
        model.Graph.MergeFrom([.. Varint((901 << 3) | 0), 5]);
        model.MergeFrom([.. Varint((900 << 3) | 2), 2, (byte)'h', (byte)'i']);
        byte[] before = model.ToByteArray();
        byte[] after = ModelFile.ToBytes(ModelFile.Load(before).Proto);
        Assert.AreEqual(ModelProto.Parser.ParseFrom(before), ModelProto.Parser.ParseFrom(after));
        CollectionAssert.AreEqual(before, after);
        Assert.AreNotEqual(OnnxModels.Linear(), ModelProto.Parser.ParseFrom(after));

        static byte[] Varint(int value) => [(byte)(0x80 | (value & 0x7F)), (byte)(value >> 7)];
    }

    [TestMethod]
    public void Load_ReadsAFileFromAnExporter_AndWritesItBack()
    {
        using ModelFile model = ModelFile.Load(OnnxModels.Grokking);
        Assert.AreEqual(OnnxModels.Grokking, model.Name);
        Assert.AreEqual(ModelProto.Parser.ParseFrom(File.ReadAllBytes(OnnxModels.Grokking)),
            ModelProto.Parser.ParseFrom(ModelFile.ToBytes(model.Proto)));
    }

    [TestMethod]
    public void Load_ReadsFilesStreamsAndBytes()
    {
        using TemporaryFolder folder = new();
        byte[] bytes = OnnxModels.Linear().ToByteArray();
        File.WriteAllBytes(folder["m.onnx"], bytes);
        using MemoryStream stream = new([1, 2, 3, .. bytes]);
        stream.Position = 3;
        using GZipStream forwardOnly = new(new MemoryStream(Zip(bytes)), CompressionMode.Decompress);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(folder["m.onnx"]).Proto);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(stream).Proto);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(forwardOnly).Proto);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(bytes).Proto);
        Assert.AreEqual("<bytes>", ModelFile.Load(bytes).Name);
    }

    [TestMethod]
    public void MissingFile_IsNamed()
    {
        using TemporaryFolder folder = new();
        Assert.Contains(folder["none.onnx"], Assert.ThrowsExactly<FileAccessException>(() => ModelFile.Load(folder["none.onnx"])).Message);
        string lost = Path.Combine(folder["nowhere"], "m.onnx");
        Assert.Contains(lost, Assert.ThrowsExactly<FileAccessException>(() => ModelFile.Load(lost)).Message);
    }

    [TestMethod]
    public void CutOffModels_AreRefusedAtEveryLength()
    {
        byte[] bytes = OnnxModels.Linear().ToByteArray();
        // The opset stands at the end, so every shorter model lacks something.
        for (int length = 0; length < bytes.Length; length += 7)
        {
            string message = Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Load(bytes.AsMemory(0, length))).Message;
            Assert.Contains("<bytes>", message);
        }
        OnnxModels.Contains(ErrorOf(bytes.AsSpan(0, 100)), "cut off", "100 bytes", "the beginning of an ONNX model");
    }

    [TestMethod]
    public void FilesGivenByMistake_AreRecognised()
    {
        OnnxModels.Contains(ErrorOf([]), "an empty file");
        OnnxModels.Contains(ErrorOf("PK\x03\x04 and so on"u8), "a zip archive");
        OnnxModels.Contains(ErrorOf("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"u8), "git lfs pull");
        OnnxModels.Contains(ErrorOf("# A text\nwith lines\n"u8), "text");
        OnnxModels.Contains(ErrorOf([60, 0, 0, 0, 0, 0, 0, 0, .. "{\"w\":{\"dtype\":\"F32\"}}"u8]), "a safetensors file");
        OnnxModels.Contains(ErrorOf([8, 0, 0, 0, .. "ORTM...."u8]), "ONNX Runtime");
        OnnxModels.Contains(ErrorOf([0x80, 2, .. "}q."u8]), "pickle");
        OnnxModels.Contains(ErrorOf(new byte[300]), "zeros");
    }

    [TestMethod]
    public void AModelWithoutAGraph_IsRefused()
    {
        ModelProto model = OnnxModels.Empty();
        model.Graph = null;
        OnnxModels.Contains(OnnxModels.LoadError(model), "<bytes>", "expected a graph");
    }

    [TestMethod]
    [DataRow(0L, "found 0")]
    [DataRow(14L, "found 14")]
    [DataRow(null, "found none")]
    public void UnknownIrVersions_AreRefused(long? version, string found)
    {
        ModelProto model = OnnxModels.Empty();
        model.ClearIrVersion();
        if (version is long number)
            model.IrVersion = number;
        OnnxModels.Contains(OnnxModels.LoadError(model), "<bytes>", "ir_version", "1 to 13", found);
    }

    [TestMethod]
    [DataRow(0L)]
    [DataRow(27L)]
    public void OpsetsOutsideTheWindow_AreRefusedWithBothNumbers(long version)
    {
        ModelProto model = OnnxModels.Empty();
        model.OpsetImport[0].Version = version;
        OnnxModels.Contains(OnnxModels.LoadError(model), "<bytes>", "ai.onnx", "1 to 26", $"found {version}");
    }

    [TestMethod]
    public void MissingAndContradictingOpsets_AreRefused_TogetherWithOtherVersions()
    {
        ModelProto model = OnnxModels.Empty();
        model.IrVersion = 99;
        model.OpsetImport[0].Domain = "com.microsoft";
        OnnxModels.Contains(OnnxModels.LoadError(model), "found 99", "ai.onnx", "found none");
        model.OpsetImport.Add([new OperatorSetIdProto { Version = 18 }, new OperatorSetIdProto { Domain = "ai.onnx", Version = 17 }]);
        OnnxModels.Contains(OnnxModels.LoadError(model), "found 18 and 17");
    }

    [TestMethod]
    public void FilesOfTwoGiB_AreRefusedBeforeTheyAreRead()
    {
        using LongStream stream = new();
        OnnxModels.Contains(Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Load(stream)).Message, "2147483647", "2147483648",
            "external data");
    }

    [TestMethod]
    public void GraphsNestedBeyondReason_AreRefused_NotOverflowTheStack()
    {
        GraphProto graph = new();
        for (int depth = 0; depth < 200; depth++)
            graph = new GraphProto { Node = { new NodeProto { Attribute = { new AttributeProto { G = graph } } } } };
        ModelProto model = OnnxModels.Empty();
        model.Graph = graph;
        OnnxModels.Contains(OnnxModels.LoadError(model), "<bytes>", "protobuf");
    }

    [TestMethod]
    public void EveryBoundOfTheWindow_IsAccepted()
    {
        foreach ((long ir, long opset) in new[] { (3L, 9L), (13L, 26L) })
        {
            ModelProto model = OnnxModels.Empty();
            model.IrVersion = ir;
            model.OpsetImport[0].Version = opset;
            Assert.AreEqual(opset, ModelFile.Load(model.ToByteArray()).Proto.OpsetImport[0].Version);
        }
    }

    private static string ErrorOf(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        using MemoryStream stream = new(copy);
        string fromStream = Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Load(stream)).Message;
        string fromBytes = Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Load(copy)).Message;
        Assert.AreEqual(fromStream.Replace("<stream>", "<bytes>", StringComparison.Ordinal), fromBytes);
        return fromBytes;
    }

    private static byte[] Zip(byte[] bytes)
    {
        using MemoryStream zipped = new();
        using (GZipStream zip = new(zipped, CompressionMode.Compress))
            zip.Write(bytes);
        return zipped.ToArray();
    }

    private sealed class LongStream : MemoryStream
    {
        public override long Length => 1L << 31;
    }
}
