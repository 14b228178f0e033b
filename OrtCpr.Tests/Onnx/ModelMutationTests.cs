using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class ModelMutationTests
{
    [TestMethod]
    public void MutatedModels_AreReadOrRefused()
    {
        ModelProto model = OnnxModels.Linear();
        TensorProto typed = new() { Name = "typed", DataType = (int)ElementType.Int8, Dims = { 3 } };
        typed.Int32Data.Add([1, 2, 3]);
        model.Graph.Initializer.Add([typed,
            OnnxModels.External("e", OnnxModels.Ramp(2, 3), ("location", "e.bin"), ("offset", "4"), ("length", "24"))]);
        // Small, so that mutations meet structure and not only weights.
        model.Graph.Initializer.RemoveAt(0);
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["e.bin"], new byte[28]);
        int refused = Mutations.Survive(model.ToByteArray(), 4000, seed: 1, bytes => ReadAll(bytes, folder.FolderPath));
        Assert.IsInRange(1000, Mutations.Count(4000) - 10, refused);
    }

    [TestMethod]
    public void MutatedModelsOfAnExporter_AreReadOrRefused()
    {
        int refused = Mutations.Survive(File.ReadAllBytes(OnnxModels.Grokking), 1000, seed: 2, bytes => ReadAll(bytes, null));
        Assert.IsInRange(100, Mutations.Count(1000) - 10, refused);
    }

    private static void ReadAll(byte[] bytes, string? folder)
    {
        using MemoryStream stream = new(bytes);
        ModelFile.Load(stream, folder);
        using ModelFile model = ModelFile.Load(bytes, folder);
        foreach (TensorSite site in ModelTensors.All(model.Proto)
            .Where(site => !ExternalDataReference.IsExternal(site.Tensor) || folder is not null))
        {
            model.Read(site);
        }
    }
}
