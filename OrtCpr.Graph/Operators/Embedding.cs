using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>The gradient of rows that are picked from a table, as Gather along its first axis picks them.</summary>
internal static class Embedding
{
    /// <summary>Σ dy over the places where a row was picked; 0 for the others. The table counts for its shape alone; an index below
    /// 0 counts from the end.</summary>
    public static OperatorDefinition Grad { get; } = new()
    {
        Name = "EmbeddingGrad",
        Inputs = ["table", new("indices", SlotType.Int64), "dy"],
        Outputs = [new("gradient", ShapeOf: "table")],
        Body = (g, x) =>
            [g.Op("ScatterND", [g.Filled(0, x["table"]), g.Unsqueeze(x["indices"], -1), x["dy"]], ("reduction", "add"))],
        Gradient = (g, op, dy) => [null, null, g.Gather(dy, op.In(1)).Like(op.In(2))],
    };

    /// <summary>A call of <see cref="Grad"/>.</summary>
    public static Term GradOf(GraphBuilder g, Value table, Value indices, Value dy) => Grad.Call(g, [table, indices, dy])[0].Like(table);
}
