"""Reads plots back: what their marks stand for, by their axes' ticks alone."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np


@dataclass
class Mark:
    """The middle of a mark, in the plot's units."""

    x: float
    y: float


def plots(markup):
    """The plots in a piece of a page."""
    found = re.findall(r'<svg class="plot".*?</svg>', str(markup), re.S)
    return [ElementTree.fromstring(one) for one in found]


def of_class(svg, name):
    """The elements of a class, those of the key left out."""
    key = {id(e) for group in svg.iter("g") if group.get("class") == "key" for e in group.iter()}
    return [e for e in svg.iter() if name in e.get("class", "").split() and id(e) not in key]


def texts(svg):
    return ["".join(element.itertext()) for element in svg.iter("text")]


def axis(svg, which, log=False):
    """A function from places to values, by the ticks of an axis: `x` or `y`."""
    ticks = [e for e in of_class(svg, "tick") if which in e.get("class").split()]
    values = [float(e.text.replace(",", "").replace("−", "-")) for e in ticks]
    # The base line of a vertical axis's words is a third of their size below the tick.
    places = [float(e.get(which)) - (13 / 3 if which == "y" else 0) for e in ticks]
    slope, offset = np.polyfit(places, np.log(values) if log else values, 1)
    return lambda place: float(np.exp(slope * place + offset) if log else slope * place + offset)


def marks(svg, name="mark"):
    """Where marks stand."""
    found = []
    for element in of_class(svg, name):
        moved = re.match(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        places = moved.groups() if moved else (element.get("cx"), element.get("cy"))
        found.append(Mark(*map(float, places)))
    return found


def ends(svg):
    """Ends of the intervals: of each line the places of both."""
    return [
        tuple(float(e.get(name)) for name in ("x1", "y1", "x2", "y2"))
        for e in of_class(svg, "interval")
    ]
