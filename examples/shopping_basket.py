"""A shopping basket, with lines left unfinished on purpose: `./dev demo` lets Seedling complete them."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 1


@dataclass
class Basket:
    items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> None:
        self.items.

    def count(self) -> int:
        return len(

    def total(self) -> float:
        total = 0.0
        for item in self.
            total += item.price * item.quantity
        return total

    def find(self, name: str) -> Item | None:
        for item in self.items:
            if item.name ==
                return item
        return None


def read_basket(path: str) -> Basket:
    basket = Basket()
    with open(path
        for line in file:
            name, price, quantity = line.split(",")
            basket.add(Item(name, float(price), int(quantity)))
    return


if __name__ == "__main__":
    print(read_basket("basket.csv").
