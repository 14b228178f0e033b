using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class ModelFileSaveTests
{
    [TestMethod]
    public void SmallModels_AreOneFile()
    {
        using TemporaryFolder folder = new();
        ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"]);
        Assert.AreEqual("m.onnx", folder.Listing);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(folder["m.onnx"]).Proto);
    }

    [TestMethod]
    public void AboveTheThreshold_LargeInitializersGoToAnAlignedDataFile()
    {
        using TemporaryFolder folder = new();
        ModelProto model = OnnxModels.Linear();
        TensorProto typed = new() { Name = "typed", DataType = (int)ElementType.Float, Dims = { 600 }, DocString = "kept" };
        typed.FloatData.Add(Enumerable.Range(0, 600).Select(i => (float)i));
        model.Graph.Initializer.Add(typed);
        ModelProto before = model.Clone();

        ModelFile.Save(model, folder["m.onnx"], externalDataThreshold: 100);

        Assert.AreEqual(before, model);
        Assert.AreEqual("m.onnx m.onnx.data", folder.Listing);
        using ModelFile read = ModelFile.Load(folder["m.onnx"]);
        Assert.AreEqual("EXTERNAL 0 4096", Place(read, "w"));
        Assert.AreEqual("EXTERNAL 4096 2400", Place(read, "typed"));
        Assert.IsFalse(ExternalDataReference.IsExternal(read.Proto.Graph.Initializer[1]));
        Assert.AreEqual("kept", read.Proto.Graph.Initializer[2].DocString);
        CollectionAssert.AreEqual(OnnxModels.Ramp(32, 32).ToArray<float>(), Value(read, "w").ToArray<float>());
        CollectionAssert.AreEqual(typed.FloatData.ToArray(), Value(read, "typed").ToArray<float>());
    }

    [TestMethod]
    public void GivenValues_ReplaceInitializersOrAreAddedInOrder()
    {
        using TemporaryFolder folder = new();
        Dictionary<string, TensorData> values =
            new() { ["z"] = OnnxModels.Ramp(700), ["w"] = TensorData.From<double>([1, 2], 2), ["a"] = TensorData.Scalar(3L) };
        ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"], externalDataThreshold: 100, values);
        using ModelFile read = ModelFile.Load(folder["m.onnx"]);
        Assert.AreEqual("w b a z", string.Join(' ', read.Proto.Graph.Initializer.Select(tensor => tensor.Name)));
        Assert.AreEqual("Double[2]", Value(read, "w").ToString());
        Assert.AreEqual("EXTERNAL 0 2800", Place(read, "z"));
        CollectionAssert.AreEqual(OnnxModels.Ramp(700).ToArray<float>(), Value(read, "z").ToArray<float>());
        Assert.HasCount(4, ModelFile.Load(ModelFile.ToBytes(OnnxModels.Linear(), values)).Proto.Graph.Initializer);
    }

    [TestMethod]
    public void SavingOverAModel_NeverTouchesTheDataThatItUses_AndCleansUp()
    {
        using TemporaryFolder folder = new();
        for (int round = 0; round < 4; round++)
        {
            Dictionary<string, TensorData> values =
                new() { ["w"] = TensorData.From<float>([.. Enumerable.Repeat((float)round, 1024)], 32, 32) };
            ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"], externalDataThreshold: 100, values);
            Assert.AreEqual(round % 2 == 0 ? "m.onnx m.onnx.data" : "m.onnx m.onnx.1.data", folder.Listing);
            using ModelFile read = ModelFile.Load(folder["m.onnx"]);
            Assert.AreEqual(round, Value(read, "w").ToArray<float>()[1023]);
        }
        ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"]);
        Assert.AreEqual("m.onnx", folder.Listing);
    }

    [TestMethod]
    public void AnInterruptedSave_LeavesTheOldModelWhole()
    {
        using TemporaryFolder folder = new();
        ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"], externalDataThreshold: 100);
        ModelProto broken = OnnxModels.Linear();
        broken.Graph.Initializer.Add(new TensorProto
        {
            Name = "bad",
            DataType = 1,
            Dims = { 999 },
            RawData = ByteString.CopyFrom(new byte[2000])
        });
        string message = Assert.ThrowsExactly<ModelFormatException>(() =>
            ModelFile.Save(broken, folder["m.onnx"], externalDataThreshold: 100)).Message;
        OnnxModels.Contains(message, "'bad'", "3996", "2000");
        Assert.AreEqual("m.onnx m.onnx.data", folder.Listing);
        using ModelFile read = ModelFile.Load(folder["m.onnx"]);
        CollectionAssert.AreEqual(OnnxModels.Ramp(32, 32).ToArray<float>(), Value(read, "w").ToArray<float>());
    }

    [TestMethod]
    public void ReferencesThatStay_KeepTheirFile()
    {
        using TemporaryFolder folder = new();
        ModelFile.Save(OnnxModels.Linear(), folder["m.onnx"], externalDataThreshold: 100);
        using (ModelFile read = ModelFile.Load(folder["m.onnx"]))
        {
            Dictionary<string, TensorData> more = new() { ["v"] = OnnxModels.Ramp(1024) };
            ModelFile.Save(read.Proto, folder["m.onnx"], externalDataThreshold: 100, more);
        }
        Assert.AreEqual("m.onnx m.onnx.1.data m.onnx.data", folder.Listing);
        using ModelFile again = ModelFile.Load(folder["m.onnx"]);
        CollectionAssert.AreEqual(OnnxModels.Ramp(32, 32).ToArray<float>(), Value(again, "w").ToArray<float>());
        CollectionAssert.AreEqual(OnnxModels.Ramp(1024).ToArray<float>(), Value(again, "v").ToArray<float>());
    }

    [TestMethod]
    public void WithASourceFolder_ExternalDataAreWrittenAnew()
    {
        using TemporaryFolder from = new();
        using TemporaryFolder to = new();
        ModelFile.Save(OnnxModels.Linear(), from["m.onnx"], externalDataThreshold: 100);
        using ModelFile read = ModelFile.Load(from["m.onnx"]);
        ModelFile.Save(read.Proto, to["inline.onnx"], source: read.Folder);
        ModelFile.Save(read.Proto, to["external.onnx"], externalDataThreshold: 100, source: read.Folder);
        Assert.AreEqual(OnnxModels.Linear(), ModelFile.Load(to["inline.onnx"]).Proto);
        using ModelFile external = ModelFile.Load(to["external.onnx"]);
        CollectionAssert.AreEqual(OnnxModels.Ramp(32, 32).ToArray<float>(), Value(external, "w").ToArray<float>());
        Assert.AreEqual("external.onnx external.onnx.data inline.onnx", to.Listing);
    }

    [TestMethod]
    public void Streams_GetTheWholeModel()
    {
        using MemoryStream stream = new();
        ModelFile.Save(OnnxModels.Linear(), stream);
        CollectionAssert.AreEqual(ModelFile.ToBytes(OnnxModels.Linear()), stream.ToArray());
    }

    [TestMethod]
    public void MoreThanTwoGiB_InOneFile_IsRefused()
    {
        ModelProto model = OnnxModels.Empty();
        // One array under three names: the size counts, not the memory.
        TensorData large = TensorData.Create(ElementType.UInt8, [800_000_000], new byte[800_000_000]);
        Dictionary<string, TensorData> values = new() { ["a"] = large, ["b"] = large, ["c"] = large };
        OnnxModels.Contains(Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.ToBytes(model, values)).Message, "<bytes>",
            "2147483647", "about 24000");
        OnnxModels.Contains(Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Save(model, Stream.Null, values)).Message,
            "<stream>");
    }

    [TestMethod]
    public void AnUnwritablePath_IsNamed()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder["none"], "m.onnx");
        Assert.Contains(path, Assert.ThrowsExactly<FileAccessException>(() => ModelFile.Save(OnnxModels.Linear(), path)).Message);
    }

    private static TensorData Value(ModelFile model, string name) =>
        model.ReadInitializer(model.Proto.Graph.Initializer.Single(tensor => tensor.Name == name));

    private static string Place(ModelFile model, string name)
    {
        TensorProto tensor = model.Proto.Graph.Initializer.Single(tensor => tensor.Name == name);
        Assert.IsNull(ExternalDataReference.Parse(tensor, out ExternalDataReference reference));
        return $"{(ExternalDataReference.IsExternal(tensor) ? "EXTERNAL" : "inline")} {reference.Offset} {reference.Length}";
    }
}
