using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>The initialization of a model with <c>training_info</c>: optimizer state and running statistics as they were before the first
/// step, and weights by the rules that the source model had for them. A parameter without a rule keeps its value.</summary>
internal static class StartOfTraining
{
    public static void AddTo(TrainingInfoProto info, TrainingPlan plan, IReadOnlyDictionary<string, Value> held)
    {
        var graph = new GraphProto { Name = "initialization" };
        HashSet<string> names = CopyRules(info, graph, plan, held);
        foreach (TensorSlot slot in plan.Slots.Where(s => held.ContainsKey(s.Key)))
        {
            if (Start(plan, slot) is not NodeProto[] nodes) continue;
            string name = PlanSlots.FreeKey($"{slot.Key}.initial", names);
            names.Add(name);
            string shape = PlanSlots.FreeKey($"{name}.shape", names);
            names.Add(shape);
            foreach (NodeProto node in nodes) node.Output.Add(node == nodes[^1] ? name : shape);
            if (nodes.Length > 1) nodes[^1].Input.Add(shape);
            graph.Node.AddRange(nodes);
            graph.Output.Add(GraphWriter.ValueInfo(new Value(name, slot.Type, Shape.Of(slot.Dimensions))));
            info.InitializationBinding.Add(new StringStringEntryProto { Key = held[slot.Key].Name, Value = name });
        }
        if (info.InitializationBinding.Count > 0) info.Initialization = graph;
    }

    /// <summary>The nodes that make the first value, without names; null for what is not reset here: parameters, and a start that the
    /// optimizer computes from the parameters.</summary>
    private static NodeProto[]? Start(TrainingPlan plan, TensorSlot slot)
    {
        if (slot.UseIn(PlanGraph.Initialization) is not null) return null;
        TensorData? value = slot.Role switch
        {
            TensorRole.Statistic or TensorRole.PendingStatistic => plan.InitialStatistics.GetValueOrDefault(slot.Owner!),
            TensorRole.State or TensorRole.Rows or TensorRole.Shared => slot.Initial ?? Zero(slot),
            _ => null,
        };
        if (value is null) return null;
        if (slot.Initial is not null || slot.Role is TensorRole.Statistic or TensorRole.PendingStatistic)
            return [Node("Constant", value)];
        return [Node("Constant", TensorData.From<long>([.. slot.Dimensions], slot.Dimensions.Count)), Node("ConstantOfShape", value)];
    }

    private static TensorData Zero(TensorSlot slot) => TensorData.Create(slot.Type, [1], new byte[slot.Type.BitsPerElement() / 8]);

    private static NodeProto Node(string type, TensorData value)
    {
        var node = new NodeProto { OpType = type };
        node.Attribute.Add(new AttributeProto
        {
            Name = "value",
            Type = AttributeProto.Types.AttributeType.Tensor,
            T = TensorSerializer.Write("", value),
        });
        return node;
    }

    /// <summary>Takes over the rules of the source model for weights that are parameters here.</summary>
    /// <returns>Names that are taken in the graph.</returns>
    private static HashSet<string> CopyRules(TrainingInfoProto info, GraphProto graph, TrainingPlan plan,
        IReadOnlyDictionary<string, Value> held)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (TrainingInfoProto source in plan.Source.Proto.TrainingInfo.Where(i => i.Initialization is not null))
        {
            StringStringEntryProto[] rules = [.. source.InitializationBinding.Where(b =>
                plan.Find(b.Key) is { Role: TensorRole.Parameter } slot && held.ContainsKey(slot.Key))];
            if (rules.Length == 0 || source.Initialization.Node.SelectMany(n => n.Output).Any(names.Contains)) continue;
            names.UnionWith(source.Initialization.Node.SelectMany(n => n.Output).Concat(source.Initialization.Initializer
                .Select(i => i.Name)));
            graph.Node.AddRange(source.Initialization.Node.Select(n => n.Clone()));
            graph.Initializer.AddRange(source.Initialization.Initializer.Select(i => i.Clone()));
            foreach (StringStringEntryProto rule in rules)
            {
                TensorSlot slot = plan.Find(rule.Key)!;
                if (graph.Output.All(o => o.Name != rule.Value))
                    graph.Output.Add(GraphWriter.ValueInfo(new Value(rule.Value, slot.Type, Shape.Of(slot.Dimensions))));
                info.InitializationBinding.Add(new StringStringEntryProto { Key = held[slot.Key].Name, Value = rule.Value });
            }
        }
        return names;
    }
}
