using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class GraphReaderTests
{
    private static OnnxModel Read(ModelProto proto) => GraphReader.Read(ModelFile.Load(ModelFile.ToBytes(proto)));

    private static ModelProto WithNodes(params NodeProto[] nodes)
    {
        ModelProto model = OnnxModels.Empty();
        model.Graph.Input.Add(new ValueInfoProto { Name = "x", Type = GraphWriter.TensorType(ElementType.Float, Shape.Of(2)) });
        model.Graph.Node.Add(nodes);
        model.Graph.Output.Add(new ValueInfoProto { Name = "y", Type = GraphWriter.TensorType(ElementType.Float, Shape.Of(2)) });
        return model;
    }

    private static NodeProto Node(string op, string[] inputs, params string[] outputs) =>
        new() { OpType = op, Name = $"n_{outputs[0]}", Input = { inputs }, Output = { outputs } };

    [TestMethod]
    public void Cycle_IsRefused_NamingItsNodes()
    {
        ModelFormatException error =
            Assert.ThrowsExactly<ModelFormatException>(() =>
            Read(WithNodes(Node("Add", ["x", "b"], "a"), Node("Relu", ["a"], "b"), Node("Neg", ["b"], "y"))));
        StringAssert.Contains(error.Message, "cycle");
        StringAssert.Contains(error.Message, "n_a");
        StringAssert.Contains(error.Message, "n_b");
    }

    [TestMethod]
    public void DanglingNames_AreRefused_AllAtOnce()
    {
        ModelFormatException error =
            Assert.ThrowsExactly<ModelFormatException>(() =>
            Read(WithNodes(Node("Add", ["x", "nowhere"], "a"), Node("Add", ["a", "neither"], "b"))));
        foreach (string part in new[] { "'nowhere'", "'neither'", "output 'y'", "n_a" }) StringAssert.Contains(error.Message, part);
    }

    [TestMethod]
    public void NameMadeTwice_IsRefused() =>
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() =>
            Read(WithNodes(Node("Relu", ["x"], "y"), Node("Neg", ["x"], "y")))).Message, "'y' is defined twice");

    [TestMethod]
    public void NodesInAnyOrder_AreSorted()
    {
        OnnxModel model = Read(WithNodes(Node("Neg", ["a"], "y"), Node("Relu", ["x"], "a")));
        CollectionAssert.AreEqual(new[] { "Relu", "Neg" }, model.Graph.Nodes.Select(n => n.OpType).ToArray());
    }

    [TestMethod]
    public void SparseInitializer_BecomesDense()
    {
        ModelProto proto = WithNodes(Node("Add", ["x", "s"], "y"));
        TensorProto values = TensorSerializer.Write("s", TensorData.From<float>([5, 7], 2));
        proto.Graph.SparseInitializer.Add(new SparseTensorProto
        {
            Values = values,
            Indices = TensorSerializer.Write("i", TensorData.From<long>([0, 2], 2)),
            Dims = { 3 }
        });
        Value value = Read(proto).Graph.Initializers.Single();
        CollectionAssert.AreEqual(new float[] { 5, 0, 7 }, value.Data!.ToArray<float>());
    }

    // The coordinate (0, 2) of a matrix of two columns would be a place in its next row.
    [TestMethod]
    [DataRow(new long[] { 3 }, new long[] { 3 })]
    [DataRow(new long[] { 0, 2 }, new long[] { 2, 2 })]
    public void SparseIndexOutside_IsRefused(long[] index, long[] dims)
    {
        ModelProto proto = WithNodes(Node("Add", ["x", "s"], "y"));
        proto.Graph.SparseInitializer.Add(new SparseTensorProto
        {
            Values = TensorSerializer.Write("s", TensorData.From<float>([5], 1)),
            Indices = TensorSerializer.Write("i", TensorData.From<long>(index, [1, .. index.Length == 1 ? Array.Empty<long>() : [2]])),
            Dims = { dims },
        });
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Read(proto)).Message, "'s'");
    }

    [TestMethod]
    public void WhatWeReadAndWrite_KeepsDocsMetadataAndSubgraphs()
    {
        ModelProto proto = WithNodes(Node("Relu", ["x"], "y"));
        proto.Graph.DocString = "a graph";
        proto.Graph.Node[0].DocString = "a node";
        proto.Graph.Node[0].MetadataProps.Add(new StringStringEntryProto { Key = "k", Value = "v" });
        proto.MetadataProps.Add(new StringStringEntryProto { Key = "author", Value = "me" });
        ModelProto written = GraphWriter.Write(Read(proto));
        Assert.AreEqual("a graph", written.Graph.DocString);
        Assert.AreEqual("a node", written.Graph.Node[0].DocString);
        Assert.AreEqual("v", written.Graph.Node[0].MetadataProps[0].Value);
        Assert.AreEqual("author", written.MetadataProps[0].Key);
    }
}
